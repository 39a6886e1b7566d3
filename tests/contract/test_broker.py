"""The `Broker` port, kept by the fake and by the paper broker in memory and on SQL, and surviving kill -9."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.domain.orders import OrderStatus, Position
from alphamill.domain.portfolios import BrokerRef
from alphamill.domain.venues import Events, VenueAccount
from alphamill.errors import Conflict, NotFound, StoreUnavailable
from alphamill.testing.broker import FakeBroker, cash_at, fills_at, positions_at
from alphamill.testing.orders import market_order, session_bars

FREE = BrokerRef(commission_bps=0, slippage_bps=0, margin=True)
CASH = {"demo": Decimal(100_000), "other": Decimal(50_000)}
BUY_A, SELL_B = market_order("A", 10), market_order("B", -4)

AnyBroker = FakeBroker | PaperBroker
Reopen = Callable[[], AnyBroker]


CAPPED = FREE.model_copy(update={"max_participation_pct": 10.0})


@pytest.fixture(params=["fake", "memory", "sql"])
def reopen_capped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """As `reopen`; at most 10 % of a bar's volume fills."""
    with ExitStack() as stores:
        if request.param == "sql":
            yield lambda: sql_broker(tmp_path, stores, CAPPED)
        else:
            fake = FakeBroker(cash_usd=CASH["demo"], max_participation_pct=10)
            paper = PaperBroker(CAPPED, initial_cash=CASH)
            broker = fake if request.param == "fake" else paper
            yield lambda: broker


@pytest.fixture(params=["fake", "memory", "sql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """The broker; asked again, the same books, after a restart where they are durable."""
    with ExitStack() as stores:
        if request.param == "sql":
            yield lambda: sql_broker(tmp_path, stores)
        else:
            fake = FakeBroker(cash_usd=CASH["demo"])
            broker = fake if request.param == "fake" else PaperBroker(FREE, initial_cash=CASH)
            yield lambda: broker


def sql_broker(folder: Path, stores: ExitStack, ref: BrokerRef = FREE) -> PaperBroker:
    store = SqlPaperStore(f"sqlite:///{folder}/books.db")
    stores.callback(store.close)
    return PaperBroker(ref, initial_cash=CASH, store=store)


def test_submitting_the_same_id_twice_is_one_order(reopen: Reopen) -> None:
    assert reopen().submit(BUY_A).status is OrderStatus.ACCEPTED
    assert reopen().submit(BUY_A).status is OrderStatus.ACCEPTED
    broker = reopen()
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert reopen().submit(BUY_A).status is OrderStatus.FILLED
    broker = reopen()
    broker.on_bars(session_bars(2, {"A": 100.0}))
    assert [fill.quantity for fill in fills_at(broker)] == [10]


def test_other_content_under_a_known_id_is_refused(reopen: Reopen) -> None:
    reopen().submit(BUY_A)
    with pytest.raises(Conflict, match="not that of its content"):
        reopen().submit(replace(BUY_A, quantity=Decimal(11)))


def test_unknown_order_is_none(reopen: Reopen) -> None:
    assert reopen().order(BUY_A.id) is None


def test_order_fills_at_the_next_open_and_never_in_its_own_session(reopen: Reopen) -> None:
    reopen().submit(BUY_A)
    reopen().on_bars(session_bars(0, {"A": 99.0}))
    assert fills_at(reopen()) == []
    reopen().on_bars(session_bars(1, {"A": 101.5}))
    (fill,) = fills_at(reopen())
    assert (fill.order_id, fill.price, fill.quantity) == (BUY_A.id, Decimal("101.5"), 10)
    order = reopen().order(BUY_A.id)
    assert order is not None
    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, 10)


def test_a_session_seen_before_changes_nothing(reopen: Reopen) -> None:
    reopen().on_bars(session_bars(1, {"A": 100.0}))
    reopen().submit(BUY_A)
    reopen().on_bars(session_bars(1, {"A": 100.0}))
    reopen().on_bars(session_bars(0, {"A": 100.0}))
    assert fills_at(reopen()) == []


def test_sells_fill_before_buys_and_fills_are_told_after_an_id(reopen: Reopen) -> None:
    reopen().submit(BUY_A)
    reopen().submit(SELL_B)
    reopen().on_bars(session_bars(1, {"A": 100.0, "B": 50.0}))
    sold, bought = fills_at(reopen())
    assert (sold.symbol, bought.symbol) == ("B", "A")
    assert fills_at(reopen(), cursor=sold.id) == [bought]
    assert fills_at(reopen(), cursor=bought.id) == []
    assert sold.id != bought.id


def test_fills_after_an_unknown_id_are_an_error(reopen: Reopen) -> None:
    with pytest.raises(NotFound, match="fill_nobody"):
        fills_at(reopen(), cursor="fill_nobody")


@pytest.mark.parametrize("cursor", ["after-99", "evt_99", "after-x", "evt_", ""])
def test_a_cursor_that_no_answer_gave_is_an_error(reopen: Reopen, cursor: str) -> None:
    reopen().submit(BUY_A)
    with pytest.raises(NotFound):
        reopen().events("demo", cursor)


def test_nothing_is_lost_from_cursor_to_cursor_and_each_stays_good(reopen: Reopen) -> None:
    """Twice through every cursor given so far: each is followed by what came after it, also after a restart."""
    assert reopen().events("demo") == Events((), (), (), None)
    cursors: list[str | None] = [None]
    for session in range(1, 4):
        reopen().submit(market_order("A", 10, session=session - 1))
        cursors.append(reopen().events("demo", cursors[-1]).cursor)
        reopen().on_bars(session_bars(session, {"A": 100.0}))
        cursors.append(reopen().events("demo", cursors[-1]).cursor)
    everything = fills_at(reopen())
    assert len(everything) == 3
    for number, cursor in enumerate(cursors):
        told = reopen().events("demo", cursor)
        assert list(told.fills) == everything[number // 2 :]
        assert told.cursor == cursors[-1]


def test_events_tell_of_orders_whose_state_changed_as_they_stand_now(reopen: Reopen) -> None:
    for order in (BUY_A, SELL_B, market_order("A", 3, portfolio="other")):
        reopen().submit(order)
    first = reopen().events("demo")
    assert {o.id: o.status for o in first.orders} == dict.fromkeys((BUY_A.id, SELL_B.id), OrderStatus.ACCEPTED)
    reopen().on_bars(session_bars(1, {"A": 100.0}))
    reopen().cancel(SELL_B.id)
    later = reopen().events("demo", first.cursor)
    assert {o.id: o.status for o in later.orders} == {
        BUY_A.id: OrderStatus.FILLED,
        SELL_B.id: OrderStatus.CANCELLED,
    }
    assert {o.id: o.status for o in reopen().events("demo").orders} == {o.id: o.status for o in later.orders}


def test_the_account_moves_by_the_money_of_its_fills(reopen: Reopen) -> None:
    assert reopen().account("demo") == VenueAccount(CASH["demo"], None, {})
    for order in (BUY_A, SELL_B, market_order("A", 3, portfolio="other")):
        reopen().submit(order)
    reopen().on_bars(session_bars(1, {"A": 100.0, "B": 50.0}))
    account = reopen().account("demo")
    assert account.cash_usd == CASH["demo"] - 1000 + 200 == CASH["demo"] + sum(f.cash_usd for f in fills_at(reopen()))
    assert {s: p.quantity for s, p in account.positions.items()} == {"A": 10, "B": -4}


def test_it_says_what_its_venue_can_do(reopen: Reopen) -> None:
    said = reopen().capabilities()
    assert (said.kind, "market" in said.order_types, said.short, said.max_in_flight) == ("paper", True, True, 1)
    assert said == reopen().capabilities()


def test_without_margin_cash_is_the_buying_power(tmp_path: Path) -> None:
    paper = PaperBroker(BrokerRef(margin=False), initial_cash=CASH)
    assert paper.account("demo").buying_power_usd == CASH["demo"]
    assert (paper.capabilities().fractional, paper.capabilities().share_step) == (False, 1)


def test_positions_are_sums_of_fills_per_portfolio(reopen: Reopen) -> None:
    for order in (BUY_A, SELL_B, market_order("A", 3, portfolio="other")):
        reopen().submit(order)
    reopen().on_bars(session_bars(1, {"A": 100.0, "B": 50.0}))
    expected = [Position("A", Decimal(10), Decimal(100)), Position("B", Decimal(-4), Decimal(50))]
    assert positions_at(reopen()) == expected
    assert positions_at(reopen(), "other") == [Position("A", Decimal(3), Decimal(100))]


def test_cancelled_order_never_fills_and_a_filled_one_stays_filled(reopen: Reopen) -> None:
    reopen().submit(BUY_A)
    assert reopen().cancel(BUY_A.id).status is OrderStatus.CANCELLED
    reopen().submit(SELL_B)
    reopen().on_bars(session_bars(1, {"A": 100.0, "B": 50.0}))
    assert [fill.order_id for fill in fills_at(reopen())] == [SELL_B.id]
    assert reopen().cancel(SELL_B.id).status is OrderStatus.FILLED


def test_cancelling_an_unknown_order_is_an_error(reopen: Reopen) -> None:
    with pytest.raises(NotFound):
        reopen().cancel(BUY_A.id)


def test_an_order_above_the_cap_fills_over_several_sessions_each_part_under_its_own_id(reopen_capped: Reopen) -> None:
    order = market_order("A", 25)
    reopen_capped().submit(order)
    seen: list[tuple[OrderStatus, Decimal]] = []
    for session, price in enumerate((100.0, 102.0, 101.0, 99.0), start=1):
        reopen_capped().on_bars(session_bars(session, {"A": price}, volumes={"A": 100}))
        answer = reopen_capped().order(order.id)
        assert answer is not None
        seen.append((answer.status, answer.filled_quantity))
    partly, filled = OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
    assert seen == [(partly, 10), (partly, 20), (filled, 25), (filled, 25)]
    parts = fills_at(reopen_capped())
    assert [(part.quantity, part.price) for part in parts] == [(10, 100), (10, 102), (5, 101)]
    assert len({part.id for part in parts}) == 3
    assert fills_at(reopen_capped(), cursor=parts[0].id) == parts[1:]
    # (1,000 + 1,020 + 505) / 25
    assert positions_at(reopen_capped()) == [Position("A", Decimal(25), Decimal(101))]


def test_a_remainder_that_is_cancelled_keeps_its_parts_and_never_fills(reopen_capped: Reopen) -> None:
    order = market_order("A", 25)
    reopen_capped().submit(order)
    reopen_capped().on_bars(session_bars(1, {"A": 100.0}, volumes={"A": 100}))
    cancelled = reopen_capped().cancel(order.id)
    assert (cancelled.status, cancelled.filled_quantity) == (OrderStatus.CANCELLED, 10)
    reopen_capped().on_bars(session_bars(2, {"A": 100.0}, volumes={"A": 100}))
    assert [part.quantity for part in fills_at(reopen_capped())] == [10]


def test_orders_of_one_symbol_share_the_cap(reopen_capped: Reopen) -> None:
    sell, buy = market_order("A", -7), market_order("A", 9, portfolio="other")
    for order in (buy, sell):
        reopen_capped().submit(order)
    reopen_capped().on_bars(session_bars(1, {"A": 100.0}, volumes={"A": 100}))
    assert [part.quantity for part in fills_at(reopen_capped())] == [7]
    assert [part.quantity for part in fills_at(reopen_capped(), "other")] == [3]


CHILD = """
import os, signal, sys
from decimal import Decimal
from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.domain.portfolios import BrokerRef
from alphamill.domain.venues import Events, VenueAccount
from alphamill.testing.orders import market_order, session_bars

broker = PaperBroker(BrokerRef(), initial_cash={"demo": Decimal(10_000)}, store=SqlPaperStore(sys.argv[1]))
broker.submit(market_order("A", 60))
broker.on_bars(session_bars(1, {"A": 100.0}, closes={"A": 104.0}))
broker.submit(market_order("A", -20, session=1))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_paper_broker_survives_kill_9(tmp_path: Path) -> None:
    """A process is killed between accept and fill; the next one goes on to the same books as one that was not."""
    url = f"sqlite:///{tmp_path}/books.db"
    child = subprocess.run([sys.executable, "-c", CHILD, url], timeout=120, check=False)
    assert child.returncode == -signal.SIGKILL
    store = SqlPaperStore(url)
    recovered = PaperBroker(BrokerRef(), initial_cash={"demo": Decimal(10_000)}, store=store)
    unbroken = PaperBroker(BrokerRef(), initial_cash={"demo": Decimal(10_000)})
    unbroken.submit(market_order("A", 60))
    unbroken.on_bars(session_bars(1, {"A": 100.0}, closes={"A": 104.0}))
    unbroken.submit(market_order("A", -20, session=1))
    for broker in (recovered, unbroken):
        broker.on_bars(session_bars(1, {"A": 100.0}))
        broker.on_bars(session_bars(2, {"A": 51.0}, price_factors={"A": 0.49}, split_factors={"A": 0.5}))
    assert fills_at(recovered) == fills_at(unbroken)
    assert positions_at(recovered) == positions_at(unbroken)
    assert cash_at(recovered) == cash_at(unbroken)
    assert [fill.quantity for fill in fills_at(recovered)] == [60, 40]
    store.close()


def test_recovery_keeps_the_past_when_costs_and_cash_change(tmp_path: Path) -> None:
    with ExitStack() as stores:
        first = sql_broker(tmp_path, stores)
        first.submit(BUY_A)
        first.on_bars(session_bars(1, {"A": 100.0}))
        store = SqlPaperStore(f"sqlite:///{tmp_path}/books.db")
        stores.callback(store.close)
        changed = PaperBroker(BrokerRef(commission_bps=90), initial_cash={"demo": Decimal(1)}, store=store)
        assert cash_at(changed) == cash_at(first) == 99_000


def test_recovery_keeps_the_fractions_that_a_split_left_when_the_step_changes(tmp_path: Path) -> None:
    with ExitStack() as stores:
        first = sql_broker(tmp_path, stores, FREE.model_copy(update={"share_step": Decimal("0.1")}))
        first.submit(market_order("A", 5))
        first.on_bars(session_bars(1, {"A": 100.0}))
        first.on_bars(session_bars(2, {"A": 200.0}, split_factors={"A": 2.0}))
        assert positions_at(first) == [Position("A", Decimal("2.5"), Decimal(200))]
        whole = sql_broker(tmp_path, stores)
        assert positions_at(whole) == positions_at(first)
        assert cash_at(whole) == cash_at(first)


def test_second_process_on_the_same_books_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stores:
        first, second = sql_broker(tmp_path, stores), sql_broker(tmp_path, stores)
        first.submit(BUY_A)
        with pytest.raises(Conflict, match="another process writes"):
            second.submit(SELL_B)
        assert second.order(SELL_B.id) is None


def test_books_that_cannot_be_opened_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "books.db").write_text("this is no database, but it is long enough to be read as one" * 20)
    with pytest.raises(StoreUnavailable, match="paper broker's books"):
        SqlPaperStore(f"sqlite:///{tmp_path}/books.db")
