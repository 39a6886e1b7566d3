"""The trader's only input is a version of the bars table, whoever wrote it."""

import datetime as dt
from functools import partial

import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.clock.bars import BarClock
from alphamill.adapters.delta.bar_store import DeltaBarStore
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.calendars import session_open, sessions
from alphamill.domain.portfolios import PortfolioSpec, Schedule, Sizing, Universe
from alphamill.errors import NotFound
from alphamill.features import registered
from alphamill.features.history import BarHistory
from alphamill.testing.features import InMemoryOnlineFeatures
from alphamill.testing.forecaster import ConstantForecaster
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.newest import NewestFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader


def corrected(session: pl.DataFrame, symbol: str, factor: float) -> pl.DataFrame:
    prices = [pl.col(name) * factor for name in ("open", "high", "low", "close")]
    return session.filter(pl.col("symbol") == symbol).with_columns(*prices)


def test_a_decision_names_the_version_it_read_and_uses_its_prices(system) -> None:
    system.run(system.ahead[0])
    wrong = corrected(system.ahead[0], "SYN000", 1.02)
    system.store.append(wrong)  # as the pipeline writes: not through the door, no event
    system.store.append(system.ahead[1])
    system.live.process()
    decision = system.last_decision()
    assert decision.data_version == f"bars@{system.store.version()}"
    window = system.live.desk.history.window("SYN000")
    assert window.close[-2] == wrong["close"][0]
    assert decision.decided_at == system.ahead[1]["ts"][0]


def test_a_correction_by_another_writer_gives_what_a_start_from_the_corrected_table_gives(
    system, make_live, parts
) -> None:
    for session in system.ahead[:3]:
        system.run(session)
    for session in system.ahead[:2]:
        system.store.append(corrected(session, "SYN001", 0.97))
    system.live.process()
    following = system.live.desk.history
    fresh = make_live(parts).desk.history
    for symbol in system.spec.universe.symbols:
        assert following.window(symbol).close.tolist() == fresh.window(symbol).close.tolist()
        assert following.window(symbol).ts.tolist() == fresh.window(symbol).ts.tolist()


def test_what_happened_stays_and_a_person_is_told_what_changed(system) -> None:
    for session in system.ahead[:3]:
        system.run(session)
    before = system.ledger.fills("demo"), system.ledger.nav_points("demo"), len(system.ledger.decisions("demo"))
    system.store.append(corrected(system.ahead[1], "SYN002", 1.01))
    system.live.process()
    after = system.ledger.fills("demo"), system.ledger.nav_points("demo"), len(system.ledger.decisions("demo"))
    assert after == before
    ((title, body),) = [(t, b) for t, b in system.notifier.sent if "corrected" in t]
    assert title == "1 bars of settled sessions were corrected"
    assert f"SYN002 {system.ahead[1]['session'][0]}" in body
    assert "close" in body
    system.live.process()
    assert len([t for t, _ in system.notifier.sent if "corrected" in t]) == 1


def test_a_changed_split_of_a_held_symbol_moves_no_position_and_is_told(system) -> None:
    for session in system.ahead[:3]:
        system.run(session)
    held = system.ledger.record(system.spec.name).positions["SYN000"]
    system.store.append(
        system.ahead[1].filter(pl.col("symbol") == "SYN000").with_columns(price_factor=0.5, split_factor=0.5)
    )
    system.live.process()
    assert system.ledger.record(system.spec.name).positions["SYN000"] == held
    (body,) = [b for t, b in system.notifier.sent if "corrected" in t]
    assert "SYN000 is held and its split or dividend" in body


def test_a_table_put_in_order_is_no_news(system) -> None:
    system.run(system.ahead[0])
    decisions = len(system.ledger.decisions("demo"))
    system.store._versions.append(system.store.read())  # a version of its own with the same rows
    assert system.live.process() == []
    assert len(system.ledger.decisions("demo")) == decisions
    system.run(system.ahead[1])
    assert system.last_decision().data_version == f"bars@{system.store.version()}"


def test_a_failing_session_reads_the_table_no_second_time(system, monkeypatch: pytest.MonkeyPatch) -> None:
    system.store.append(system.ahead[0])
    reads = []
    for name in ("read", "changes"):
        real = getattr(system.store, name)
        monkeypatch.setattr(
            system.store,
            name,
            lambda *args, real=real, name=name, **kwargs: reads.append(name) or real(*args, **kwargs),
        )
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "on_session", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            system.live.process()
        once = list(reads)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                system.live.process()
    (decision,) = system.live.process()
    assert decision.decided_at == system.ahead[0]["ts"][0]
    assert reads == once
    assert once.count("changes") == 1


def test_a_correction_of_the_session_that_failed_is_decided_on(system, monkeypatch: pytest.MonkeyPatch) -> None:
    system.store.append(system.ahead[0])
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "on_session", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            system.live.process()
    other = corrected(system.ahead[0], "SYN001", 1.03)
    system.store.append(other)
    (decision,) = system.live.process()
    assert float(decision.prices["SYN001"]) == other["close"][0]
    assert decision.data_version == f"bars@{system.store.version()}"


def test_a_look_that_fails_in_the_books_is_done_again_whole(system, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrected bar and the next session come in one version: neither the session nor the alert is lost."""
    system.run(system.ahead[0])
    system.store.append(corrected(system.ahead[0], "SYN001", 1.03))
    system.store.append(system.ahead[1])
    told = len(system.notifier.sent)
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "adjust", lambda market: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            system.live.process()
    (decision,) = system.live.process()
    assert decision.decided_at == system.ahead[1]["ts"][0]
    assert decision.refusals == ()
    assert len([title for title, _ in system.notifier.sent[told:] if "were corrected" in title]) == 1


def test_a_session_after_one_that_never_arrived_is_settled_and_not_decided(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    system.run(system.ahead[3])
    decision = system.last_decision()
    assert [(r.symbol, r.code) for r in decision.refusals] == [("*", "MISSING_SESSION")]
    assert str(system.ahead[2]["session"][0]) in decision.refusals[0].detail
    assert decision.orders == ()
    assert system.ledger.record(system.spec.name).last_settled_at == system.ahead[3]["ts"][0]
    system.run(system.ahead[4])
    assert system.last_decision().refusals == ()


def test_a_restart_before_the_decision_still_knows_that_a_session_never_arrived(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "_decide", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            system.run(system.ahead[3])
    make_live(parts)
    assert [r.code for r in system.last_decision().refusals] == ["MISSING_SESSION"]


COIN = "COIN"


def coin_bars(count: int, first: dt.date) -> pl.DataFrame:
    """Bars of a symbol that trades every day, closes at midnight UTC."""
    from alphamill.proofs.synthetic_market import synthetic_market

    days = sessions("24/7").filter(pl.col("session") >= first).head(count)
    bars = synthetic_market(1, count, seed=3).with_columns(
        symbol=pl.lit(COIN), session=days["session"], ts=days["close_ts"], ingested_at=days["close_ts"]
    )
    return bars.with_columns(pl.col("ts", "ingested_at").cast(pl.Datetime("us", "UTC")))


@pytest.fixture
def two_desks(market, spec, signature, tmp_path):  # type: ignore[no-untyped-def]
    """One trader, an exchange and a market that never closes, on one real table and one ledger."""
    days = market["session"].unique().sort()
    cut = days[-6]
    coins = coin_bars(1_000, days[0])
    store = DeltaBarStore(str(tmp_path / "bars"))
    store.append(pl.concat([market.filter(pl.col("session") <= cut), coins.filter(pl.col("session") <= cut)]))
    clock, ledger, tells = BarClock(), InMemoryLedger(), InMemoryNotifier()
    online = InMemoryOnlineFeatures(tuple(feature.name for feature in registered()))
    always = PortfolioSpec(
        name="always",
        universe=Universe(symbols=(COIN,), calendar="24/7"),
        sizing=Sizing(covariance_bars=60, method="equal_weight", max_weight=1.0),
        schedule=Schedule(grace_secs=0),
    )
    desks = []
    for own in (spec, always):
        history, features = BarHistory(), NewestFeatures(online)
        opens = partial(session_open, own.universe.calendar)
        broker = PaperBroker(own.broker, initial_cash={own.name: own.initial_cash_usd}, session_open=opens)
        trader = PortfolioTrader(
            own,
            features=features,
            forecaster=ConstantForecaster(signature, mean=0.03, std=0.04),
            broker=broker,
            ledger=ledger,
            history=history,
            notifier=tells,
        )
        desks.append(
            Desk(
                calendar=own.universe.calendar,
                history=history,
                features=features,
                listeners=[clock, broker],
                traders=[trader],
                lateness=lateness(clock),
            )
        )
    trader = Trader(store=store, desks=desks, ledger=ledger, clock=clock)
    trader.start()
    ahead = market.filter(pl.col("session") > cut), coins.filter(pl.col("session") > cut).head(8)
    return trader, store, ledger, ahead


def test_portfolios_of_two_calendars_are_decided_each_at_its_own_closes(two_desks) -> None:
    trader, store, ledger, (stocks, coins) = two_desks
    for _, session in pl.concat([stocks, coins]).sort("ts", "symbol").group_by("ts", maintain_order=True):
        store.append(session)
        (decision,) = trader.advance()
        expected = "always" if session["symbol"][0] == COIN else "demo"
        assert (decision.portfolio, decision.decided_at) == (expected, session["ts"][0])
    decided = {name: [d.decided_at for d in ledger.decisions(name)[1:]] for name in ("demo", "always")}
    assert decided["demo"] == stocks["ts"].unique().sort().to_list()
    assert decided["always"] == coins["ts"].to_list()
    assert all(d.refusals == () for name in ("demo", "always") for d in ledger.decisions(name)[1:])
    assert {fill.symbol for fill in ledger.fills("always")} == {COIN}


def test_bars_of_both_calendars_in_one_version_are_read_once(two_desks, monkeypatch: pytest.MonkeyPatch) -> None:
    trader, store, _ledger, (stocks, coins) = two_desks
    store.append(pl.concat([stocks, coins]))
    asked = []
    changes = store.changes
    monkeypatch.setattr(store, "changes", lambda *versions: asked.append(versions) or changes(*versions))
    decisions = trader.advance()
    assert asked == [(0, 1)]
    assert len([d for d in decisions if d.portfolio == "always"]) == coins.height
    assert {d.data_version for d in decisions} == {"bars@1"}


def test_a_desk_without_bars_is_refused_with_the_remedy(two_desks, tmp_path) -> None:
    trader, *_ = two_desks
    empty = DeltaBarStore(str(tmp_path / "nothing"))
    with pytest.raises(NotFound, match="alphamill ingest"):
        Trader(store=empty, desks=[f.desk for f in trader._followers], ledger=trader._ledger, clock=BarClock()).start()
