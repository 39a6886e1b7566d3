"""What goes wrong between two lines: a missing bar, a halt in the middle, a crash, a changed portfolio file."""

import asyncio
import datetime as dt
import threading
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from fastapi.testclient import TestClient

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.sql import SqlBarJournal
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.calendars import next_open
from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import OrderStatus, Position
from alphamill.domain.portfolios import Universe
from alphamill.errors import BrokerUnavailable, Conflict, DataUnfit, InvalidBar, NotReconciled, StoreUnavailable
from alphamill.execution import reconcile
from alphamill.runtimes.embedded.wiring import EmbeddedWiring
from alphamill.runtimes.stores import JOURNAL_SESSIONS
from alphamill.settings import Settings
from alphamill.testing.broker import cash_at, fills_at
from alphamill.testing.clock import ManualClock


def _unavailable(*args: object, **kwargs: object) -> None:
    raise StoreUnavailable("the ledger is locked.")


def _without(session: pl.DataFrame, symbol: str) -> pl.DataFrame:
    return session.filter(pl.col("symbol") != symbol)


def test_one_missing_bar_does_not_freeze_the_portfolio(system) -> None:
    system.run(system.ahead[0])
    system.post(_without(system.ahead[1], "SYN000"))
    system.run(system.ahead[2])
    decision = system.last_decision()
    assert decision.decided_at == system.ahead[2]["ts"][0]
    assert decision.refusals == ()
    assert len(decision.forecasts) == 3


def test_a_fill_is_not_lost_when_a_halt_comes_between_matching_and_settling(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.run(system.ahead[0])
    ordered = {o.symbol: o.quantity for o in system.last_decision().orders}
    with monkeypatch.context() as broken:
        broken.setattr(system.ledger, "settle", _unavailable)
        with pytest.raises(StoreUnavailable):
            system.run(system.ahead[1])
    system.live.set_state("demo", TradingState.HALTED, "news")
    system.live.enforce_states()
    system.live.process()
    record = system.ledger.record(system.spec.name)
    assert {s: p.quantity for s, p in record.positions.items()} == ordered
    assert reconcile(record, system.broker) == []
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.FILLED}


def test_an_order_in_flight_that_filled_before_it_was_asked_for_keeps_its_fill(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = system.broker.submit

    def answer_lost(order):  # type: ignore[no-untyped-def]
        submit(order)
        raise BrokerUnavailable("the answer was lost.")

    with monkeypatch.context() as broken:
        broken.setattr(system.broker, "submit", answer_lost)
        system.run(system.ahead[0])
    sent = system.ledger.orders("demo")
    assert {o.status for o in sent} == {OrderStatus.IN_FLIGHT}
    system.broker.on_bars(system.ahead[1])  # as when the process dies between matching and settling
    system.live.enforce_states()
    system.run(system.ahead[1])
    assert reconcile(system.ledger.record(system.spec.name), system.broker) == []
    assert {f.order_id for f in system.ledger.fills("demo")} == {o.id for o in sent}


def test_an_order_in_flight_that_the_broker_never_saw_is_not_sent_after_its_open(
    parts, make_live, ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(ahead[0]["ts"][0] + dt.timedelta(hours=1))
    live = make_live(parts, clock)

    def refuses(order):  # type: ignore[no-untyped-def]
        raise BrokerUnavailable("no route to the broker.")

    with monkeypatch.context() as broken:
        broken.setattr(parts["broker"], "submit", refuses)
        live.accept(ahead[0].select(RAW_BAR_SCHEMA.names()))
        live.close_sessions()
        live.process()
    assert {o.status for o in parts["ledger"].orders("demo")} == {OrderStatus.IN_FLIGHT}
    clock.set(ahead[1]["ts"][0] - dt.timedelta(hours=2))  # the broker is back, hours after the open
    live.enforce_states()
    orders = parts["ledger"].orders("demo")
    assert {o.status for o in orders} == {OrderStatus.CANCELLED}
    assert [parts["broker"].order(o.id) for o in orders] == [None] * len(orders)


def test_a_process_killed_after_settling_still_cancels_orders_whose_open_has_passed(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.run(system.ahead[0])
    controller = system.live.controller("demo")
    monkeypatch.setattr(controller, "_cancel", _unavailable)
    system.post(_without(system.ahead[1], "SYN000"))
    system.post(_without(system.ahead[2], "SYN000"))
    system.live.close_sessions()
    with pytest.raises(StoreUnavailable):
        system.live.process()
    make_live(parts)
    waiting = [o for o in system.ledger.orders("demo") if o.symbol == "SYN000"]
    assert [o.status for o in waiting] == [OrderStatus.CANCELLED]
    assert "NOT_RECONCILED" not in {r.code for r in system.last_decision().refusals}


def test_a_held_symbol_that_left_the_universe_is_priced_and_sold(system, make_live, parts, spec) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    assert system.ledger.record(spec.name).positions["SYN000"].quantity > 0
    smaller = spec.model_copy(update={"universe": Universe(symbols=("SYN001", "SYN002"))})
    live = make_live(parts, spec=smaller)
    for session in system.ahead[2:4]:
        live.accept(session.select(RAW_BAR_SCHEMA.names()))
        live.close_sessions()
        live.process()
    assert "SYN000" not in system.ledger.record(smaller.name).positions
    sold = [o for o in system.ledger.orders("demo") if o.symbol == "SYN000"][-1]
    assert "no longer in the universe" in sold.reason


def test_a_drawdown_does_not_overwrite_a_halt_written_at_the_same_moment(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    set_state = system.ledger.set_state

    def halted_first(*args, **kwargs):  # type: ignore[no-untyped-def]
        set_state("demo", TradingState.HALTED, "news", dt.datetime.now(dt.UTC))
        set_state(*args, **kwargs)

    monkeypatch.setattr(system.ledger, "set_state", halted_first)
    book = system.ledger._books["demo"]
    book.record = replace(book.record, peak_nav_usd=2 * book.record.nav_usd)
    system.run(system.ahead[2])
    record = system.ledger.record(system.spec.name)
    assert (record.state, record.state_reason) == (TradingState.HALTED, "news")
    assert system.last_decision().orders == ()


def test_a_manual_target_after_the_open_is_refused_and_open_orders_stay(parts, make_live, ahead) -> None:
    clock = ManualClock(ahead[0]["ts"][0] + dt.timedelta(hours=1))
    live = make_live(parts, clock)
    live.accept(ahead[0].select(RAW_BAR_SCHEMA.names()))
    live.close_sessions()
    live.process()
    before = parts["ledger"].orders("demo")
    clock.set(ahead[1]["ts"][0] - dt.timedelta(hours=2))
    with pytest.raises(Conflict, match="next open"):
        live.update_target("demo", {"SYN001": 0.4})
    assert parts["ledger"].orders("demo") == before


def test_a_manual_target_for_a_symbol_without_a_price_is_refused(make_live, parts, spec) -> None:
    wide = spec.model_copy(update={"universe": Universe(symbols=(*spec.universe.symbols, "IPO"))})
    live = make_live(parts, spec=wide)
    with pytest.raises(DataUnfit, match="IPO"):
        live.update_target("demo", {"IPO": 0.3})


def test_a_correction_of_a_merged_session_that_is_not_yet_decided_is_taken(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = system.live.controller("demo")
    with monkeypatch.context() as broken:
        broken.setattr(controller, "on_session", _unavailable)
        with pytest.raises(StoreUnavailable):
            system.run(system.ahead[0])
    corrected = system.ahead[0][:1].with_columns(volume=pl.col("volume") + 1)
    system.run(corrected)
    assert system.journal.pending().is_empty()
    assert system.last_decision().data_version == "bars@2"


def test_bars_of_symbols_that_nobody_trades_reach_no_portfolio(system) -> None:
    other = system.ahead[0].with_columns(symbol=pl.lit("OTHER")).head(1)
    system.store.append(pl.concat([system.ahead[0], other]))
    system.live.process()
    assert "OTHER" not in system.live.desk.history.symbols
    assert system.live.cursor == system.ahead[0]["ts"][0]


def test_a_correction_reaches_history_though_the_journal_failed_after_the_merge(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.run(system.ahead[0])
    corrected = system.ahead[0][:1].with_columns(volume=pl.col("volume") + 1)
    system.post(corrected)
    with monkeypatch.context() as broken:
        broken.setattr(system.journal, "mark_merged", _unavailable)
        with pytest.raises(StoreUnavailable):
            system.live.close_sessions()
    system.live.close_sessions()
    window = system.live.desk.history.window(corrected["symbol"][0])
    assert window.volume[-1] == corrected["volume"][0]


def test_a_price_factor_that_no_split_or_dividend_explains_is_refused_at_the_door(system) -> None:
    with pytest.raises(InvalidBar) as raised:
        system.post(system.ahead[0][:1].with_columns(price_factor=pl.lit(1.05)))
    assert raised.value.field == "price_factor"
    system.post(system.ahead[0][:1].with_columns(price_factor=pl.lit(10.0)))  # a reverse split 1:10


def test_a_late_bar_with_a_split_reaches_ledger_and_broker_alike(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    held = system.ledger.record(system.spec.name).positions["SYN000"]
    third, fourth = system.ahead[2:4]
    system.post(_without(third, "SYN000"))
    halved = [pl.col(name) / 2 for name in ("open", "high", "low", "close")]
    system.post(_without(fourth, "SYN000"))
    system.live.close_sessions()
    system.live.process()
    system.run(third.filter(pl.col("symbol") == "SYN000").with_columns(*halved, price_factor=pl.lit(0.5)))
    record = system.ledger.record(system.spec.name)
    assert record.positions["SYN000"].quantity == 2 * held.quantity
    assert reconcile(record, system.broker) == []
    assert record.nav_usd == record.cash_usd + sum(
        p.quantity * Decimal(str(system.live.desk.history.window(s).close[-1])) for s, p in record.positions.items()
    )


def test_one_portfolio_that_fails_does_not_keep_another_from_deciding(
    parts, make_live, ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = make_live(parts, others=("second",))
    first, second = live.desk.traders
    monkeypatch.setattr(first, "on_session", _unavailable)
    live.accept(ahead[0].select(RAW_BAR_SCHEMA.names()))
    live.close_sessions()
    with pytest.raises(StoreUnavailable):
        live.process()
    assert parts["ledger"].record(second.spec.name).last_decision_at == ahead[0]["ts"][0]
    with pytest.raises(StoreUnavailable):
        live.process()
    assert len(parts["ledger"].decisions("second")) == 2  # the opening, and this session once


def test_orders_of_a_portfolio_ahead_of_the_others_are_not_called_late(
    parts, make_live, ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portfolio that was left out for some days comes back: the cursor goes back to it, the orders of others stay."""
    make_live(parts, others=("second",))
    clock = ManualClock(ahead[2]["ts"][0] + dt.timedelta(minutes=1))
    alone = make_live(parts, clock)
    for session in ahead[:3]:
        alone.accept(session.select(RAW_BAR_SCHEMA.names()))
    with monkeypatch.context() as killed:
        killed.setattr("alphamill.trading.portfolio_trader.send_orders", lambda *args, **kwargs: [])
        killed.setattr(alone.controller("demo")._books, "note", lambda *args: None)
        alone.close_sessions()
        alone.process()
    assert {o.status for o in parts["ledger"].orders("demo")} == {OrderStatus.PENDING}
    make_live(parts, clock, others=("second",))
    assert {o.status for o in parts["ledger"].orders("demo")} == {OrderStatus.ACCEPTED}


def test_an_order_that_reducing_forbids_is_not_sent_although_it_cannot_be_cancelled(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("alphamill.trading.portfolio_trader.send_orders", lambda *args, **kwargs: [])
        system.run(system.ahead[0])
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.PENDING}
    system.live.set_state("demo", TradingState.REDUCING, "less")

    def no_answer(order_id: str) -> None:
        raise BrokerUnavailable("no answer.")

    with monkeypatch.context() as broken:
        broken.setattr(system.broker, "order", no_answer)
        system.live.enforce_states()
    assert [system.broker.order(o.id) for o in system.ledger.orders("demo")] == [None, None]
    system.live.enforce_states()
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.CANCELLED}


def test_a_halt_while_a_slow_broker_takes_orders_stops_the_rest(system, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = system.broker.submit

    def halted_meanwhile(order):  # type: ignore[no-untyped-def]
        system.live.set_state("demo", TradingState.HALTED, "news")
        return submit(order)

    monkeypatch.setattr("alphamill.trading.watch.LOOK_AGAIN_SECS", 0.0)
    monkeypatch.setattr(system.broker, "submit", halted_meanwhile)
    system.run(system.ahead[0])
    first, *rest = system.last_decision().orders
    assert rest
    assert system.broker.order(first.id) is not None
    assert [system.broker.order(o.id) for o in rest] == [None] * len(rest)
    system.live.enforce_states()
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.CANCELLED}


def test_a_broker_that_is_down_is_told_of_once_an_order(system, monkeypatch: pytest.MonkeyPatch) -> None:
    system.run(system.ahead[0])
    system.live.set_state("demo", TradingState.HALTED, "news")

    def no_answer(order_id: str) -> None:
        raise BrokerUnavailable("no answer.")

    monkeypatch.setattr(system.broker, "order", no_answer)
    for _ in range(3):
        system.live.enforce_states()
    told = [title for title, _ in system.notifier.sent if "could not be cancelled" in title]
    assert len(told) == len(system.ledger.orders("demo"))


def test_a_state_that_cannot_be_enforced_in_one_portfolio_is_enforced_in_the_other(
    parts, make_live, ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = make_live(parts, others=("second",))
    live.accept(ahead[0].select(RAW_BAR_SCHEMA.names()))
    live.close_sessions()
    live.process()
    for name in ("demo", "second"):
        live.set_state(name, TradingState.HALTED, "news")
    monkeypatch.setattr(live.controller("demo"), "send_committed", _unavailable)
    with pytest.raises(StoreUnavailable):
        live.enforce_states()
    assert {o.status for o in parts["ledger"].orders("second")} == {OrderStatus.CANCELLED}


def test_a_trader_that_is_stopped_finishes_the_decision_in_hand(
    system, running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    forecast = system.forecaster.forecast

    def slow(snapshots):  # type: ignore[no-untyped-def]
        asked.set()
        assert answer.wait(20)
        return forecast(snapshots)

    monkeypatch.setattr(system.forecaster, "forecast", slow)

    async def stop_while_deciding() -> None:
        loop = running.loop()
        system.post(system.ahead[0])
        system.live.door.merge()
        await loop.start()
        assert await asyncio.to_thread(asked.wait, 20)
        stopping = asyncio.create_task(loop.stop())
        done, _ = await asyncio.wait([stopping], timeout=0.2)
        assert not done
        answer.set()
        await stopping

    asyncio.run(stop_while_deciding())
    assert system.last_decision().decided_at == system.ahead[0]["ts"][0]
    assert {o.status for o in system.ledger.orders("demo")} == {OrderStatus.ACCEPTED}


def test_a_fill_carries_the_time_of_its_open(system) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    opened = next_open("XNYS", system.ahead[0]["ts"][0])
    assert {fill.filled_at for fill in system.ledger.fills("demo")} == {opened}


def test_a_start_prunes_what_the_journal_no_longer_needs(tmp_path: Path, market: pl.DataFrame) -> None:
    settings = Settings(home=tmp_path)
    journal = SqlBarJournal(settings.ledger_url)
    journal.append(market)
    journal.mark_merged(market)
    EmbeddedWiring(settings).journal().close()
    kept = market["session"].n_unique() - JOURNAL_SESSIONS
    assert journal.prune(0) == market.filter(pl.col("session") >= market["session"].unique().sort()[kept]).height
    journal.close()


def test_a_session_is_tried_again_though_its_rollback_failed_too(system, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "on_session", _unavailable)
        system.post(system.ahead[0])
        system.live.close_sessions()
        read = system.store.read
        answers = iter([read, _unavailable])
        broken.setattr(system.store, "read", lambda **kwargs: next(answers)(**kwargs))
        with pytest.raises(StoreUnavailable):
            system.live.process()
    (decision,) = system.live.process()
    assert decision.decided_at == system.ahead[0]["ts"][0]


@pytest.mark.parametrize("factor", [{"price_factor": 0.5}, {"price_factor": 0.99, "split_factor": 1.0}])
def test_a_late_split_or_dividend_is_applied_though_the_process_died_after_storing_it(
    system, make_live, parts, factor: dict[str, float]
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    third, fourth = system.ahead[2:4]
    for session in (third, fourth):
        system.post(_without(session, "SYN000"))
    system.live.close_sessions()
    system.live.process()
    ratio = 0.5 if factor["price_factor"] == 0.5 else 1.0
    prices = [pl.col(name) * ratio for name in ("open", "high", "low", "close")]
    late = third.filter(pl.col("symbol") == "SYN000").with_columns(*prices, **{k: pl.lit(v) for k, v in factor.items()})
    late = late.with_columns(split_factor=pl.lit(ratio))
    system.store.append(late)  # and here the process dies: the ledger and the broker have not heard of it
    before = system.ledger.record(system.spec.name)
    make_live(parts)
    make_live(parts)
    after = system.ledger.record(system.spec.name)
    held = before.positions["SYN000"].quantity
    assert after.positions["SYN000"].quantity == held / Decimal(str(ratio))
    assert after.cash_usd == cash_at(system.broker)
    assert (after.cash_usd > before.cash_usd) == (ratio == 1.0)
    assert (before.awaited, after.awaited) == (("SYN000",), ())
    assert reconcile(after, system.broker) == []


def test_a_session_is_processed_though_the_journals_answer_to_its_merge_was_lost(
    system, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_merged = system.journal.mark_merged

    def answer_lost(bars: pl.DataFrame) -> None:
        mark_merged(bars)
        raise StoreUnavailable("the answer was lost.")

    system.post(system.ahead[0])
    with monkeypatch.context() as broken:
        broken.setattr(system.journal, "mark_merged", answer_lost)
        with pytest.raises(StoreUnavailable):
            system.live.close_sessions()
    assert system.live.close_sessions() == []
    assert system.live.behind_secs > 0  # so the engine's next tick processes it, though no event came
    assert [d.decided_at for d in system.live.process()] == [system.ahead[0]["ts"][0]]


def test_a_start_sends_nothing_while_ledger_and_broker_disagree_and_says_so(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    _run_until_committed(system, system.ahead[2], monkeypatch)
    held = system.broker._books.accounts["demo"]
    tampered = replace(held, positions={**held.positions, "SYN001": Position("SYN001", Decimal(7), Decimal(1))})
    system.broker._books.accounts["demo"] = tampered
    submitted: list[str] = []
    submit = system.broker.submit
    monkeypatch.setattr(system.broker, "submit", lambda order: submitted.append(order.id) or submit(order))
    live = make_live(parts)
    live.enforce_states()
    assert submitted == []
    assert [d for d in live.disagreements() if "SYN001" in d]
    assert len([title for title, _ in system.notifier.sent if "disagree" in title]) == 1
    system.broker._books.accounts["demo"] = held
    live.enforce_states()
    assert live.disagreements() == []
    waiting = [o for o in system.ledger.orders("demo") if o.decided_at == system.ahead[2]["ts"][0]]
    assert {o.id for o in waiting} == set(submitted)
    assert {o.status for o in waiting} == {OrderStatus.ACCEPTED}


def _run_until_committed(system, session: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends between the commit of the decision and the first order that is sent."""
    system.forecaster._mean = {"SYN000": -0.03, "SYN001": -0.02, "SYN002": 0.03}
    with monkeypatch.context() as killed:
        killed.setattr("alphamill.trading.portfolio_trader.send_orders", lambda *args, **kwargs: [])
        system.run(session)
    assert OrderStatus.PENDING in {o.status for o in system.ledger.orders("demo")}


def test_a_broker_with_other_books_stops_the_portfolio_at_the_start(system, make_live, parts) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    opens = system.broker._matching.session_open
    emptied = PaperBroker(system.spec.broker, initial_cash={"demo": Decimal(100_000)}, session_open=opens)
    live = make_live({**parts, "broker": emptied})
    assert "does not know fill" in live.disagreements()[0]
    live.accept(system.ahead[2].select(RAW_BAR_SCHEMA.names()))
    live.close_sessions()
    with pytest.raises(NotReconciled):
        live.process()
    assert fills_at(emptied) == []
    assert all(emptied.order(o.id) is None for o in system.ledger.orders("demo"))


def test_tradability_names_what_ledger_and_broker_disagree_about(app, running, system) -> None:
    held = system.broker._books.accounts["demo"]

    def said() -> dict:  # type: ignore[type-arg]
        return client.get("/api/portfolios/demo").json()["tradability"]

    def until(tradable: bool) -> dict:  # type: ignore[type-arg]
        deadline = time.monotonic() + 20
        while said()["tradable"] is not tradable and time.monotonic() < deadline:
            time.sleep(0.01)
        return said()

    with running(), TestClient(app, raise_server_exceptions=False) as client:
        assert until(True)["reasons"] == []
        tampered = replace(held, positions={"SYN001": Position("SYN001", Decimal(7), Decimal(1))})
        system.broker._books.accounts["demo"] = tampered
        system.post(system.ahead[0])
        system.live.door.merge()
        assert "SYN001: the ledger holds 0, the broker 7" in until(False)["reasons"][0]
        assert client.get("/readyz").status_code == 200
        system.broker._books.accounts["demo"] = held
        assert until(True)["reasons"] == []
