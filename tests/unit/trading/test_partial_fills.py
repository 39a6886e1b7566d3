"""Orders that fill over several sessions: carried over while the schedule rests, ended when it decides anew."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.adapters.sql import SqlLedger
from alphamill.bootstrap import backtest_parts
from alphamill.domain.calendars import session_open
from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import OrderStatus, Side
from alphamill.domain.portfolios import BrokerRef, RiskLimits, Schedule
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.parity import Traded, parity
from alphamill.execution import reconcile
from alphamill.features import MODEL_FEATURES, compute
from alphamill.testing.broker import cash_at, fills_at
from alphamill.testing.script import Bar, Played, Script, play

#: About 200 shares a session; the first orders want 300 to 900.
CAPPED = BrokerRef(max_participation_pct=0.01)
#: Bars 152 and 156 of the history decide: sessions 1 and 5 of those ahead.
EVERY_FOURTH = Schedule(every_bars=4)
FIRST, NEXT = 1, 5


def run(system, upto: int, start: int = 0) -> None:
    for session in system.ahead[start : upto + 1]:
        system.run(session)


def orders_decided_at(system, session: int):
    return [o for o in system.ledger.orders("demo") if o.decided_at == system.ahead[session]["ts"][0]]


def require_books_agree(system) -> None:
    """Ledger and broker hold the same orders, fills, cash and positions; positions are sums of fills."""
    record = system.ledger.record(system.spec.name)
    assert reconcile(record, system.broker) == []
    assert record.cash_usd == cash_at(system.broker)
    assert system.ledger.fills("demo") == fills_at(system.broker)
    for order in system.ledger.orders("demo"):
        answer = system.broker.order(order.id)
        assert (order.status, order.quantity, order.filled_quantity) == (
            answer.status,
            answer.quantity,
            answer.filled_quantity,
        )
        assert order.filled_quantity <= order.quantity


def splitting(bars: pl.DataFrame, symbol: str, session, factor: float) -> pl.DataFrame:
    """The same market, where `symbol` splits before the open of `session`."""
    later = (pl.col("symbol") == symbol) & (pl.col("session") >= session)
    prices = [pl.when(later).then(pl.col(c) * factor).otherwise(pl.col(c)) for c in ("open", "high", "low", "close")]
    volume = pl.when(later).then(pl.col("volume") / factor).otherwise(pl.col("volume"))
    on_day = later & (pl.col("session") == session)
    factors = [pl.when(on_day).then(factor).otherwise(pl.col(c)).alias(c) for c in ("price_factor", "split_factor")]
    return bars.with_columns(*prices, volume, *factors)


def test_a_remainder_is_carried_over_while_the_schedule_rests(system_with) -> None:
    system = system_with(broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    orders = orders_decided_at(system, FIRST)
    assert {o.status for o in orders} == {OrderStatus.PARTIALLY_FILLED}
    run(system, FIRST + 3, start=FIRST + 2)
    by_order = defaultdict(list)
    for fill in system.ledger.fills("demo"):
        volume = dict(system.ahead[FIRST + 1 + len(by_order[fill.order_id])].select("symbol", "volume").iter_rows())
        by_order[fill.order_id].append(fill.quantity)
        assert fill.quantity <= Decimal(str(volume[fill.symbol])) / 10_000
    assert set(by_order) == {o.id for o in orders}
    assert {len(parts) for parts in by_order.values()} >= {3}
    for order in orders_decided_at(system, FIRST):
        assert sum(by_order[order.id]) == order.filled_quantity
        position = system.ledger.record(system.spec.name).positions[order.symbol]
        assert position.quantity == order.filled_quantity
    require_books_agree(system)


def test_a_session_that_decides_ends_the_remainder_and_orders_the_difference(system_with) -> None:
    system = system_with(broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, NEXT - 1)
    waiting = [o for o in orders_decided_at(system, FIRST) if o.status is OrderStatus.PARTIALLY_FILLED]
    assert waiting
    run(system, NEXT, start=NEXT)
    ended = {o.id: o for o in orders_decided_at(system, FIRST)}
    assert {ended[o.id].status for o in waiting} <= {OrderStatus.CANCELLED, OrderStatus.FILLED}
    assert OrderStatus.CANCELLED in {o.status for o in ended.values()}
    decision = system.last_decision()
    held = system.ledger.record(system.spec.name).positions
    for order in decision.orders:
        wanted = Decimal(str(decision.target_weights[order.symbol])) * decision.nav_usd * Decimal("0.99")
        shares = wanted / decision.prices[order.symbol] // 1
        assert order.side.sign * order.quantity == shares - held[order.symbol].quantity
    require_books_agree(system)


def test_every_close_that_decides_ends_what_the_cap_left(system_with) -> None:
    system = system_with(broker=CAPPED)
    run(system, 3)
    first = orders_decided_at(system, 0)
    assert {o.status for o in first} == {OrderStatus.CANCELLED}
    assert all(0 < o.filled_quantity < o.quantity for o in first)
    require_books_agree(system)


def test_a_halt_ends_the_remainder(system_with) -> None:
    system = system_with(broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    fills = system.ledger.fills("demo")
    system.live.set_state("demo", TradingState.HALTED, "news")
    system.live.enforce_states()
    assert {o.status for o in orders_decided_at(system, FIRST)} == {OrderStatus.CANCELLED}
    run(system, FIRST + 2, start=FIRST + 2)
    assert system.ledger.fills("demo") == fills
    require_books_agree(system)


def test_a_drawdown_that_trips_between_two_decisions_ends_what_would_raise_exposure(system_with, ahead) -> None:
    prices = [pl.col(name) * 0.9 for name in ("open", "high", "low", "close")]
    fallen = [bars.with_columns(prices) for bars in ahead[FIRST + 2 :]]
    system = system_with(
        [*ahead[: FIRST + 2], *fallen],
        broker=CAPPED,
        schedule=EVERY_FOURTH,
        risk=RiskLimits(max_drawdown_pct=0.5, drawdown_pause_days=None),
    )
    run(system, FIRST + 1)
    assert {o.status for o in orders_decided_at(system, FIRST)} == {OrderStatus.PARTIALLY_FILLED}
    run(system, NEXT - 1, start=FIRST + 2)
    assert system.ledger.record(system.spec.name).state is TradingState.REDUCING
    assert {o.status for o in orders_decided_at(system, FIRST)} == {OrderStatus.CANCELLED}
    assert max(fill.filled_at for fill in system.ledger.fills("demo")) < ahead[FIRST + 2]["ts"][0]
    require_books_agree(system)


def test_a_restart_between_two_parts_changes_nothing(system_with, make_live, parts) -> None:
    system = system_with(broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    system.live = make_live(parts, spec=system.spec)
    assert {o.status for o in orders_decided_at(system, FIRST)} == {OrderStatus.PARTIALLY_FILLED}
    run(system, FIRST + 2, start=FIRST + 2)
    parts_of_first = [f for f in system.ledger.fills("demo") if f.order_id == orders_decided_at(system, FIRST)[0].id]
    assert len(parts_of_first) == 2
    require_books_agree(system)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_split_between_two_parts_is_counted_alike_by_ledger_and_broker(
    system_with, market: pl.DataFrame, ahead, factor: float
) -> None:
    day = ahead[FIRST + 2]["session"][0]
    bars = splitting(market, "SYN000", day, factor)
    system = system_with(since(bars, ahead), broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    (before,) = [o for o in orders_decided_at(system, FIRST) if o.symbol == "SYN000"]
    assert before.status is OrderStatus.PARTIALLY_FILLED
    run(system, FIRST + 2, start=FIRST + 2)
    (after,) = [o for o in orders_decided_at(system, FIRST) if o.symbol == "SYN000"]
    fills = [fill.quantity for fill in system.ledger.fills("demo") if fill.order_id == after.id]
    in_new_shares = fills[0] / Decimal(str(factor)) // 1
    assert after.filled_quantity == in_new_shares + fills[1]
    assert after.quantity == in_new_shares + (before.quantity - before.filled_quantity) / Decimal(str(factor)) // 1
    assert system.ledger.record(system.spec.name).positions["SYN000"].quantity == after.filled_quantity
    (committed,) = [o for o in system.ledger.trail(after.id).decision.orders if o.id == after.id]
    assert committed.quantity == before.quantity
    require_books_agree(system)
    run(system, NEXT + 1, start=FIRST + 3)
    require_books_agree(system)


def test_a_halt_between_matching_a_split_and_settling_it_loses_no_fill(
    system_with, market: pl.DataFrame, ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = ahead[FIRST + 2]["session"][0]
    bars = splitting(market, "SYN000", day, 3.0)
    system = system_with(since(bars, ahead), broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    with monkeypatch.context() as broken:
        broken.setattr(system.ledger, "settle", _fail)
        with pytest.raises(OSError, match="disk"):
            system.run(system.ahead[FIRST + 2])
    system.live.set_state("demo", TradingState.HALTED, "news")
    system.live.enforce_states()
    system.live.process()
    assert {o.status for o in orders_decided_at(system, FIRST)} == {OrderStatus.CANCELLED}
    require_books_agree(system)


def test_a_split_that_comes_with_a_late_bar_restates_a_remainder_that_waits(
    system_with, market: pl.DataFrame, ahead
) -> None:
    day = ahead[FIRST + 2]["session"][0]
    bars = splitting(market, "SYN000", day, 0.5)
    coming = since(bars, ahead)
    system = system_with(coming, broker=CAPPED, schedule=EVERY_FOURTH)
    run(system, FIRST + 1)
    (before,) = [o for o in orders_decided_at(system, FIRST) if o.symbol == "SYN000"]
    for session in coming[FIRST + 2 : FIRST + 4]:
        system.post(session.filter(pl.col("symbol") != "SYN000"))
    system.live.close_sessions()
    system.live.process()
    assert [o for o in orders_decided_at(system, FIRST) if o.symbol == "SYN000"] == [before]
    for session in coming[FIRST + 2 : FIRST + 4]:
        system.run(session.filter(pl.col("symbol") == "SYN000"))
    (after,) = [o for o in orders_decided_at(system, FIRST) if o.symbol == "SYN000"]
    parts = [fill.quantity for fill in system.ledger.fills("demo") if fill.order_id == after.id]
    assert len(parts) == 3
    assert after.quantity == 2 * before.quantity
    assert after.filled_quantity == 2 * parts[0] + parts[1] + parts[2]
    require_books_agree(system)


#: 10 % of the volume trades; only exit rules act, at bar 9 the schedule decides again.
SLOW = {"broker": {"max_participation_pct": 10}, "risk": {"stop_loss_pct": 20}, "every_bars": 10}


def by_hand(played: Played) -> list[tuple[int, Side, Decimal, Decimal]]:
    return [(played.bar_of(fill), fill.side, fill.quantity, fill.price) for fill in played.fills]


def test_an_exit_ends_the_remainder_of_its_symbol_and_sells_what_is_held() -> None:
    """40 % of 100,000 at 100 are 400 shares, 100 of them trade in bar 2. Its close of 79 is beyond the stop."""
    bars = [Bar(100, 100), Bar(100, 100), Bar(100, 79, volume=1000), Bar(75, 76, volume=1000), Bar(77, 77)]
    played = play(Script({"A": bars}, {1: {"A": 0.4}}, **SLOW))
    assert by_hand(played) == [(2, Side.BUY, 100, 100), (3, Side.SELL, 100, 75)]
    assert [(o.side, o.status, o.filled_quantity) for o in played.orders] == [
        (Side.BUY, OrderStatus.CANCELLED, 100),
        (Side.SELL, OrderStatus.FILLED, 100),
    ]
    assert played.nav_usd[-1] == 100_000 - 100 * 25


def test_an_exit_that_fills_in_parts_never_sells_more_than_is_held() -> None:
    """400 are bought in bar 2. The stop trips at 79 and again at 78; at 81 it does not, and the remainder goes on."""
    bars = [
        Bar(100, 100),
        Bar(100, 100),
        Bar(100, 100),
        Bar(95, 79),
        Bar(75, 78, volume=1500),  # 150 of 400 sold; tripped again: the rest is replaced by an order of 250
        Bar(77, 81, volume=1500),  # 150 of 250 sold; not tripped: 100 are carried over
        Bar(82, 82, volume=1500),  # the last 100
        Bar(83, 83),
    ]
    played = play(Script({"A": bars}, {1: {"A": 0.4}}, **SLOW))
    assert by_hand(played) == [
        (2, Side.BUY, 400, 100),
        (4, Side.SELL, 150, 75),
        (5, Side.SELL, 150, 77),
        (6, Side.SELL, 100, 82),
    ]
    assert [(o.quantity, o.status, o.filled_quantity) for o in played.orders] == [
        (400, OrderStatus.FILLED, 400),
        (400, OrderStatus.CANCELLED, 150),
        (250, OrderStatus.FILLED, 250),
    ]
    # 100,000 - 40,000 + 150 * 75 + 150 * 77 + 100 * 82
    assert played.nav_usd[-1] == 91_000
    assert played.record.positions == {}


class TellsLate(PaperBroker):
    """While `late`, it tells the fills of a session only in the next one."""

    late = False
    untold = 0

    def on_bars(self, bars: pl.DataFrame) -> None:
        before = len(super().events("demo").fills)
        super().on_bars(bars)
        self.untold = (len(super().events("demo").fills) - before) * self.late

    def events(self, portfolio: str, cursor: str | None = None):
        told = super().events(portfolio, cursor)
        return replace(told, fills=told.fills[: len(told.fills) - self.untold])


@pytest.mark.parametrize("told_late", [FIRST + 1, FIRST + 2], ids=["first part", "second part"])
def test_a_part_that_is_told_only_after_a_split_counts_in_the_shares_it_was_bought_in(
    system_with, parts, make_live, market: pl.DataFrame, ahead, told_late: int
) -> None:
    day = ahead[told_late + 1]["session"][0]
    bars = splitting(market, "SYN000", day, 0.5)
    coming = since(bars, ahead)
    system = system_with(coming, broker=CAPPED, schedule=EVERY_FOURTH)
    cash = {"demo": system.spec.initial_cash_usd}
    parts["broker"] = system.broker = TellsLate(CAPPED, initial_cash=cash, session_open=partial(session_open, "XNYS"))
    system.live = make_live(parts, spec=system.spec)
    run(system, told_late - 1)
    known = len(system.ledger.fills("demo"))
    system.broker.late = True
    run(system, told_late, start=told_late)
    assert len(system.ledger.fills("demo")) == known
    run(system, told_late + 1, start=told_late + 1)
    assert len(system.ledger.fills("demo")) > known
    system.broker.late = False
    run(system, NEXT + 1, start=told_late + 2)
    bought = [f for f in system.ledger.fills("demo") if f.order_id in {o.id for o in orders_decided_at(system, FIRST)}]
    assert len(bought) >= 2 * (told_late - FIRST)
    require_books_agree(system)


def _fail(*args: object, **kwargs: object) -> None:
    raise OSError("disk full")


VARIANTS = {
    "volume cap": {"broker": CAPPED, "schedule": EVERY_FOURTH},
    "volume cap, daily": {"broker": CAPPED},
    "fractional shares": {"broker": BrokerRef(share_step=Decimal("0.001"))},
    "all at once": {
        "broker": BrokerRef(
            commission_usd_per_share=Decimal("0.005"),
            commission_min_usd=Decimal(1),
            slippage_usd_per_share=Decimal("0.01"),
            share_step=Decimal("0.01"),
            max_participation_pct=0.01,
        ),
        "schedule": EVERY_FOURTH,
    },
}


@pytest.mark.parametrize("split", [False, True], ids=["", "split"])
@pytest.mark.parametrize("variant", list(VARIANTS))
def test_live_trades_what_the_backtest_trades(
    system_with, market: pl.DataFrame, ahead, variant: str, split: bool
) -> None:
    bars = splitting(market, "SYN000", ahead[FIRST + 2]["session"][0], 0.5) if split else market
    coming = since(bars, ahead)
    system = system_with(coming, **VARIANTS[variant])
    run(system, len(coming))
    require_parity(system, system.ledger, bars)
    require_books_agree(system)


def since(bars: pl.DataFrame, ahead: list[pl.DataFrame]) -> list[pl.DataFrame]:
    later = bars.filter(pl.col("session") >= ahead[0]["session"][0])
    return later.sort("ts", "symbol").partition_by("ts", maintain_order=True)


def require_parity(system, books, bars: pl.DataFrame) -> None:
    live = Traded(tuple(books.orders("demo")), tuple(books.fills("demo")), tuple(books.nav_points("demo")))
    rows = compute(bars).select("symbol", "ts", *MODEL_FEATURES)
    parts = backtest_parts(system.spec, rows, system.forecaster)
    start = system.ahead[0]["session"][0]
    result = run_backtest(system.spec, bars, parts, start=start, data_version="bars@0")
    found = parity(live, Traded(result.orders, result.fills, result.nav_points))
    assert found.differences == ()
    assert found.fills > 3


def test_live_restarted_from_its_files_at_every_session_trades_what_the_backtest_trades(
    system_with, parts, make_live, market: pl.DataFrame, ahead, tmp_path: Path
) -> None:
    bars = splitting(market, "SYN000", ahead[FIRST + 2]["session"][0], 0.5)
    coming = since(bars, ahead)
    system = system_with(coming, **VARIANTS["all at once"])
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    opens, cash = partial(session_open, "XNYS"), {"demo": system.spec.initial_cash_usd}
    for session in coming:
        ledger.close()
        ledger = parts["ledger"] = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
        store = SqlPaperStore(f"sqlite:///{tmp_path}/broker.db")
        parts["broker"] = PaperBroker(system.spec.broker, initial_cash=cash, store=store, session_open=opens)
        system.live = make_live(parts, spec=system.spec)
        system.run(session)
        assert reconcile(ledger.record(system.spec.name), parts["broker"]) == []
        store.close()
    require_parity(system, ledger, bars)
    ledger.close()
