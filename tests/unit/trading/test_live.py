"""The live path: a bar becomes a decision, a decision orders, orders fills; nothing is lost and nothing doubled."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest

from alphamill.bootstrap import backtest_parts
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import OrderStatus
from alphamill.domain.portfolios import Universe
from alphamill.errors import Halted, InvalidBar, NotFound, UnknownSymbol
from alphamill.evaluation.backtest import run_backtest
from alphamill.features import MODEL_FEATURES, compute
from alphamill.testing.bar_store import InMemoryBarStore
from alphamill.testing.clock import ManualClock


def test_a_session_is_decided_and_its_orders_fill_at_the_next_open(system) -> None:
    first, second = system.ahead[:2]
    system.run(first)
    decision = system.last_decision()
    assert decision.decided_at == first["ts"][0]
    assert decision.model_version == "forecaster-1"
    assert decision.data_version == "bars@1"
    assert [f.symbol for f in decision.forecasts] == list(system.spec.universe.symbols)
    assert decision.orders
    system.run(second)
    fills = system.ledger.fills("demo")
    assert {f.order_id for f in fills} == {o.id for o in decision.orders}
    opens = dict(second.select("symbol", "open").iter_rows())
    for fill in fills:
        slipped = Decimal(str(opens[fill.symbol])) * (1 + fill.side.sign * Decimal("0.0002"))
        assert abs(fill.price - slipped) <= Decimal("0.0001")


def test_money_adds_up_after_every_session(system) -> None:
    for session in system.ahead:
        system.run(session)
        record = system.ledger.record(system.spec.name)
        closes = dict(session.select("symbol", "close").iter_rows())
        held = sum(p.quantity * Decimal(str(closes[p.symbol])) for p in record.positions.values())
        assert record.nav_usd == record.cash_usd + held
        assert record.cash_usd >= 0


def test_the_same_bars_again_change_nothing(system) -> None:
    for session in system.ahead[:3]:
        system.run(session)
    before = system.ledger.record(system.spec.name), system.store.version(), len(system.ledger.decisions("demo"))
    system.run(system.ahead[2])
    after = system.ledger.record(system.spec.name), system.store.version(), len(system.ledger.decisions("demo"))
    assert after == before


def test_an_incomplete_session_waits_for_its_last_symbol(system) -> None:
    session = system.ahead[0]
    system.post(session[:2])
    assert system.live.close_sessions() == []
    system.post(session[2:])
    assert [event.symbols for event in system.live.close_sessions()] == [system.spec.universe.symbols]
    assert len(system.live.process()) == 1


def test_bars_of_several_sessions_are_decided_in_order(system) -> None:
    for session in reversed(system.ahead[:4]):
        system.post(session)
    assert len(system.live.close_sessions()) == 4
    decided = [d.decided_at for d in system.live.process()]
    assert decided == [s["ts"][0] for s in system.ahead[:4]]


def test_a_corrected_bar_of_a_settled_session_makes_a_new_version_and_no_decision(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    decisions = len(system.ledger.decisions("demo"))
    corrected = system.ahead[0][:1].with_columns(volume=pl.col("volume") + 1)
    version = system.store.version()
    system.run(corrected)
    assert system.store.version() == version + 1
    assert len(system.ledger.decisions("demo")) == decisions
    system.run(system.ahead[2])
    assert len(system.ledger.decisions("demo")) == decisions + 1


def test_a_symbol_without_a_bar_is_held_with_a_reason(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    held = system.ledger.record(system.spec.name).positions["SYN000"].quantity
    system.post(system.ahead[2].filter(pl.col("symbol") != "SYN000"))
    system.run(system.ahead[3].filter(pl.col("symbol") != "SYN000"))
    decision = system.last_decision()
    assert [(r.symbol, r.code) for r in decision.refusals] == [("SYN000", "MISSING_BAR")]
    assert "SYN000" not in {o.symbol for o in decision.orders}
    assert system.ledger.record(system.spec.name).positions["SYN000"].quantity == held


def test_a_symbol_not_yet_listed_is_refused_and_the_others_trade(system, market) -> None:
    wide = system.spec.model_copy(update={"universe": Universe(symbols=(*system.spec.universe.symbols, "IPO"))})
    rows = compute(market).select("symbol", "ts", *MODEL_FEATURES)
    start = system.ahead[0]["session"][0]
    result = run_backtest(wide, market, backtest_parts(wide, rows, system.forecaster), start=start, data_version="")
    for decision in result.decisions:
        assert [(r.symbol, r.code) for r in decision.refusals] == [("IPO", "MISSING_BAR")]
    assert result.decisions[0].orders


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"close": float("nan")}, InvalidBar),
        ({"high": float("inf")}, InvalidBar),
        ({"open": -1.0}, InvalidBar),
        ({"high": 0.01}, InvalidBar),
        ({"volume": -5.0}, InvalidBar),
        ({"session": dt.date(2999, 1, 3)}, InvalidBar),
        ({"session": dt.date(2005, 1, 1)}, InvalidBar),
        ({"symbol": "TSLA"}, UnknownSymbol),
    ],
)
def test_a_bad_bar_is_refused_at_the_door_and_stores_nothing(system, change, error) -> None:
    bar = system.ahead[0][:1].with_columns(**{k: pl.lit(v) for k, v in change.items()})
    with pytest.raises(error) as raised:
        system.post(bar)
    assert raised.value.field
    assert system.journal.pending().is_empty()


def test_without_features_positions_are_held_and_the_loop_recovers(system) -> None:
    system.run(system.ahead[0])
    system.features.available = False
    system.run(system.ahead[1])
    decision = system.last_decision()
    assert {r.code for r in decision.refusals} == {"STORE_UNAVAILABLE"}
    assert decision.orders == ()
    system.features.available = True
    system.run(system.ahead[2])
    assert system.last_decision().refusals == ()


@pytest.mark.parametrize("broken", ["down", "nan"])
def test_a_forecaster_that_is_gone_or_answers_nan_sends_nothing(system, broken: str) -> None:
    system.run(system.ahead[0])
    if broken == "down":
        system.forecaster.fail()
    else:
        system.forecaster._mean = float("nan")
    system.run(system.ahead[1])
    decision = system.last_decision()
    assert {r.code for r in decision.refusals} == {"FORECASTER_UNAVAILABLE"}
    assert decision.orders == ()
    assert len(decision.snapshots) == 3
    assert any("forecaster" in title for title, _ in system.notifier.sent)


def test_a_halted_portfolio_sends_nothing_and_its_open_orders_are_cancelled(system) -> None:
    system.run(system.ahead[0])
    system.live.set_state("demo", TradingState.HALTED, "news")
    system.live.enforce_states()
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.CANCELLED}
    system.run(system.ahead[1])
    assert system.ledger.fills("demo") == []
    assert [r.code for r in system.last_decision().refusals] == ["HALTED"]
    with pytest.raises(Halted):
        system.live.update_target(None, {"SYN000": 0.1})
    system.live.set_state("demo", TradingState.ACTIVE, "calm again")
    system.run(system.ahead[2])
    assert system.last_decision().orders


def test_a_reducing_portfolio_never_raises_exposure(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    before = {s: p.quantity for s, p in system.ledger.record(system.spec.name).positions.items()}
    system.live.set_state("demo", TradingState.REDUCING, "less")
    system.live.enforce_states()
    system.forecaster._mean = {"SYN000": -0.03, "SYN001": 0.05, "SYN002": 0.05}
    for session in system.ahead[2:5]:
        system.run(session)
        now = {s: p.quantity for s, p in system.ledger.record(system.spec.name).positions.items()}
        assert all(0 <= now.get(s, 0) <= before.get(s, 0) for s in system.spec.universe.symbols)
        before = now


def test_a_manual_target_is_a_decision_and_replaces_open_orders(system) -> None:
    system.run(system.ahead[0])
    model_orders = {o.id for o in system.last_decision().orders}
    decision = system.live.update_target("demo", {"SYN001": 0.4})
    assert decision.source == "manual"
    assert {o.symbol for o in decision.orders} == {"SYN001"}
    assert model_orders.isdisjoint(o.id for o in decision.orders)
    system.run(system.ahead[1])
    assert {f.symbol for f in system.ledger.fills("demo")} == {"SYN001"}


def test_a_manual_target_for_an_unknown_portfolio_names_the_known_ones(system) -> None:
    with pytest.raises(NotFound, match="demo"):
        system.live.update_target("other", {"SYN001": 0.4})


def test_a_restart_continues_where_the_process_died(system, make_live, parts) -> None:
    for session in system.ahead[:3]:
        system.run(session)
    system.post(system.ahead[3])
    system.live.close_sessions()  # merged, but the process dies before it is decided
    restarted = make_live(parts)
    assert restarted.behind_secs > 0  # the engine's next tick finds it; no event comes for it again
    assert [d.decided_at for d in restarted.process()] == [system.ahead[3]["ts"][0]]
    orders = system.ledger.orders("demo")
    assert len({o.id for o in orders}) == len(orders)


class _Killed(BaseException):
    """Stands for the end of the process at the line that raises it."""


def _die(*args: object, **kwargs: object) -> None:
    raise _Killed


def _run_and_die(system, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """One session whose process ends right after the decision was committed, at `where`."""
    target = system.live.controller("demo")._books if where == "note" else "alphamill.trading.portfolio_trader"
    with monkeypatch.context() as kill:
        if where == "note":
            kill.setattr(target, where, _die)
        else:
            kill.setattr(f"{target}.{where}", _die)
        with pytest.raises(_Killed):
            system.run(system.ahead[0])
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.PENDING}


@pytest.mark.parametrize("where", ["send_orders", "note"])
def test_a_process_killed_between_commit_and_answer_sends_each_order_once(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    _run_and_die(system, monkeypatch, where)
    restarted = make_live(parts)
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.ACCEPTED}
    ids = [o.id for o in system.ledger.orders("demo")]
    restarted.accept(system.ahead[1].select(RAW_BAR_SCHEMA.names()))
    restarted.close_sessions()
    restarted.process()
    assert sorted(f.order_id for f in system.ledger.fills("demo")) == sorted(ids)


@pytest.mark.parametrize("where", ["send_orders", "note"])
def test_a_late_restart_cancels_what_was_not_sent_at_the_broker_too(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    _run_and_die(system, monkeypatch, where)
    make_live(parts, ManualClock(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    orders = system.ledger.orders("demo")
    assert {o.status for o in orders} == {OrderStatus.CANCELLED}
    known = [answer.status for o in orders if (answer := system.broker.order(o.id))]
    assert known == ([OrderStatus.CANCELLED] * len(orders) if where == "note" else [])


def test_on_the_wall_clock_an_old_session_is_settled_but_not_traded(parts, make_live, spec, ahead) -> None:
    live = make_live(parts, ManualClock(dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    live.accept(ahead[0].select("symbol", "session", "open", "high", "low", "close", "volume", "price_factor"))
    live.close_sessions()
    (decision,) = live.process()
    assert [r.code for r in decision.refusals] == ["TOO_LATE"]
    assert decision.orders == ()


def test_an_empty_bars_table_is_refused_with_the_remedy(parts, make_live) -> None:
    with pytest.raises(NotFound, match="alphamill ingest"):
        make_live({**parts, "store": InMemoryBarStore()})


def test_a_failing_round_leaves_history_ready_for_the_next_try(system, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = system.live.controller("demo")
    with monkeypatch.context() as broken:
        broken.setattr(controller, "on_session", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            system.run(system.ahead[0])
    (decision,) = system.live.process()
    assert decision.decided_at == system.ahead[0]["ts"][0]
