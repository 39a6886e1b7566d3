"""A real venue's manners: whatever a broker tells, late, twice or in any order, the books end as the venue's are."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import SqlLedger
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import PortfolioRecord, Settlement
from alphamill.domain.orders import Fill, Order, OrderStatus
from alphamill.domain.portfolios import PortfolioSpec, Universe
from alphamill.errors import NotReconciled
from alphamill.execution import Account, reconcile, send_orders
from alphamill.execution.sending import confirmed
from alphamill.ports import Books
from alphamill.testing.broker import Answer, FakeBroker
from alphamill.testing.orders import close_of, market_order, session_bars
from alphamill.trading.books import after_actions, book_of, collected

D = Decimal
CASH = D(100_000)
SPEC = PortfolioSpec(name="demo", universe=Universe(symbols=("A", "B")), initial_cash_usd=CASH)
ORDER = market_order("A", 10)


class Desk:
    """A ledger beside a broker: what the controller does with it, one step at a time."""

    def __init__(self, broker: FakeBroker, ledger: Books) -> None:
        self.broker, self.ledger = broker, ledger
        self.ledger.register(SPEC, close_of(0))

    @property
    def record(self) -> PortfolioRecord:
        return self.ledger.record("demo")

    def send(self, *orders: Order) -> list[Order]:
        at = orders[0].decided_at
        self.ledger.commit(
            Decision(
                f"dec_{at}",
                "demo",
                at,
                "manual",
                TradingState.ACTIVE,
                "",
                "",
                "",
                CASH,
                {},
                orders=orders,
                revision=self.record.revision,
            )
        )
        return self.send_again()

    def send_again(self) -> list[Order]:
        sent = send_orders(self.record.open_orders, self.broker)
        self._write(sent, (), book_of(self.record))
        return sent

    def collect(self) -> list[Fill]:
        record = self.record
        orders, early, late = collected(record, self.broker, self.ledger, (), D(1))
        self._write(orders, (*early, *late), after_actions(book_of(record, early), (), D(1), late))
        return [*early, *late]

    def cancel(self, order: Order) -> Order:
        after = confirmed(self.ledger.trail(order.id).order, self.broker.cancel(order.id))
        self._write([after], (), book_of(self.record))
        return after

    def order(self, order: Order) -> Order:
        return self.ledger.trail(order.id).order

    def agrees(self) -> bool:
        return reconcile(self.record, self.broker) == []

    def _write(self, orders: list[Order], fills: tuple[Fill, ...], account: Account) -> None:
        positions = tuple(account.positions.values())
        now, revision = close_of(0), self.record.revision
        self.ledger.settle(
            Settlement("demo", now, tuple(orders), fills, account.cash_usd, positions, None, revision=revision)
        )


Venue = Callable[..., Desk]


@pytest.fixture(params=["memory", "sqlite"])
def venue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Venue]:
    """A broker of some manners beside a ledger; the script of its answers first."""
    with ExitStack() as ledgers:

        def make(*script: Answer, **manners: Any) -> Desk:
            broker = FakeBroker(script, cash_usd=CASH, **manners)
            if request.param == "memory":
                return Desk(broker, InMemoryLedger())
            ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
            ledgers.callback(ledger.close)
            return Desk(broker, ledger)

        yield make


def test_an_order_the_exchange_has_not_acknowledged_is_in_flight_and_sent_once(venue: Venue) -> None:
    desk = venue(Answer.LATER, Answer.REJECT)
    assert [o.status for o in desk.send(ORDER)] == [OrderStatus.IN_FLIGHT]
    assert [o.status for o in desk.send_again()] == [OrderStatus.IN_FLIGHT]
    assert desk.collect() == []
    assert desk.order(ORDER).status is OrderStatus.IN_FLIGHT
    assert desk.agrees()
    desk.broker.acknowledge(ORDER.id)
    assert [o.status for o in desk.send_again()] == [OrderStatus.ACCEPTED]
    assert list(desk.broker.script) == [Answer.REJECT]


def test_an_order_rejected_after_it_was_accepted_is_rejected_with_the_reason(venue: Venue) -> None:
    desk = venue(Answer.REJECT_LATER)
    assert [o.status for o in desk.send(ORDER)] == [OrderStatus.ACCEPTED]
    desk.broker.on_bars(session_bars(1, {"A": 100.0}))
    assert desk.collect() == []
    assert (desk.order(ORDER).status, desk.order(ORDER).detail) == (OrderStatus.REJECTED, "rejected by the exchange")
    assert desk.agrees()


def test_a_cancel_is_a_request_and_the_order_may_fill_until_it_is_confirmed(venue: Venue) -> None:
    desk = venue(slow_cancels=True, max_participation_pct=10)
    desk.send(ORDER)
    assert desk.cancel(ORDER).status is OrderStatus.ACCEPTED
    desk.broker.on_bars(session_bars(1, {"A": 100.0}, volumes={"A": 60}))
    assert [fill.quantity for fill in desk.collect()] == [6]
    assert (desk.order(ORDER).status, desk.order(ORDER).filled_quantity) == (OrderStatus.CANCELLED, 6)
    assert desk.agrees()


@pytest.mark.parametrize("late", [4, 10])
def test_a_fill_that_comes_after_the_cancel_was_confirmed_is_booked_once(venue: Venue, late: int) -> None:
    desk = venue(duplicate_fills=True)
    desk.send(ORDER)
    assert desk.cancel(ORDER).status is OrderStatus.CANCELLED
    desk.broker.fill(ORDER.id, D(100), close_of(1), D(late))
    assert not desk.agrees()
    assert [fill.quantity for fill in desk.collect()] == [late]
    assert desk.collect() == []
    order = desk.order(ORDER)
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, late)
    assert order.detail == f"{late} of 10 filled, told after it was cancelled"
    assert desk.agrees()


@pytest.mark.parametrize("disorder", range(5))
def test_parts_told_twice_and_in_any_order_are_booked_once(venue: Venue, disorder: int) -> None:
    desk = venue(duplicate_fills=True, disorder=disorder)
    other = market_order("B", 6)
    desk.send(ORDER, other)
    booked = []
    for day in (1, 2, 3):
        desk.broker.fill(other.id, D(50), close_of(day), D(2))
        desk.broker.fill(ORDER.id, D(100 + day), close_of(day), D(3))
        booked += desk.collect()
    desk.broker.fill(ORDER.id, D(99), close_of(4))
    booked += desk.collect()
    assert [desk.order(o).status for o in (ORDER, other)] == [OrderStatus.FILLED, OrderStatus.FILLED]
    assert len({fill.id for fill in booked}) == len(booked) == 7
    assert desk.agrees()


def test_a_bust_takes_shares_commission_and_average_back_to_the_last_digit(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    kept = desk.broker.fill(ORDER.id, D(100), close_of(1), D(6))
    desk.collect()
    before = desk.record
    busted = desk.broker.fill(ORDER.id, D("137.123457"), close_of(2), D(4))
    desk.collect()
    assert desk.order(ORDER).status is OrderStatus.FILLED
    desk.broker.bust(busted)
    assert not desk.agrees()
    (reversal,) = desk.collect()
    assert (reversal.id, reversal.cash_usd) == (f"bust_{busted.id}", -busted.cash_usd)
    assert (desk.record.cash_usd, desk.record.positions) == (before.cash_usd, before.positions)
    assert (desk.order(ORDER).filled_quantity, kept.quantity) == (6, 6)
    assert desk.agrees()
    assert desk.collect() == []
    assert desk.collect() == []


def test_a_bust_of_a_part_leaves_the_order_open_and_it_fills_on(venue: Venue) -> None:
    desk = venue(duplicate_fills=True)
    desk.send(ORDER)
    busted = desk.broker.fill(ORDER.id, D(100), close_of(1), D(4))
    desk.collect()
    desk.broker.bust(busted)
    assert [fill.id for fill in desk.collect()] == [f"bust_{busted.id}"]
    assert desk.collect() == []
    assert desk.record.positions == {}
    desk.broker.fill(ORDER.id, D(101), close_of(2))
    assert [fill.quantity for fill in desk.collect()] == [10]
    assert desk.order(ORDER).status is OrderStatus.FILLED
    assert desk.agrees()


def test_a_fill_that_was_taken_back_before_it_was_booked_never_counts(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    desk.broker.bust(desk.broker.fill(ORDER.id, D(100), close_of(1), D(4)))
    assert desk.collect() == []
    assert desk.agrees()


def test_a_bust_of_a_sale_that_closed_the_position_brings_it_back(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    desk.broker.fill(ORDER.id, D(100), close_of(0))
    desk.collect()
    sale = market_order("A", -10, session=1)
    desk.send(sale)
    sold = desk.broker.fill(sale.id, D(110), close_of(2))
    desk.collect()
    assert desk.record.positions == {}
    desk.broker.bust(sold)
    desk.collect()
    assert desk.record.positions["A"].quantity == 10
    assert desk.agrees()


def test_a_bust_of_a_fill_that_nobody_told_stops_the_line(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    desk.broker._log.append("fill_of_another_house")
    desk.broker._portfolio_of = lambda entry: "demo"  # type: ignore[method-assign]
    with pytest.raises(NotReconciled, match="takes back fill_of_another_house, which it never told"):
        desk.collect()


def test_a_fill_of_an_order_that_the_ledger_never_made_stops_the_line(venue: Venue) -> None:
    desk = venue()
    desk.broker.submit(ORDER)
    desk.broker.fill(ORDER.id, D(100), close_of(1))
    with pytest.raises(NotReconciled, match="which the ledger does not have"):
        desk.collect()


def test_a_halted_symbol_rejects_new_orders_and_keeps_the_old_ones(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    desk.broker.halted.add("A")
    new = market_order("A", 5, session=1)
    assert [o.status for o in desk.send(new) if o.id == new.id] == [OrderStatus.REJECTED]
    desk.broker.on_bars(session_bars(1, {"A": 100.0}))
    assert desk.collect() == []
    assert (desk.order(ORDER).status, desk.order(new).detail) == (OrderStatus.ACCEPTED, "A is halted")
    desk.broker.halted.clear()
    desk.broker.on_bars(session_bars(2, {"A": 100.0}))
    assert [fill.order_id for fill in desk.collect()] == [ORDER.id]
    assert desk.agrees()


def test_money_that_only_one_side_has_is_told_to_the_step_of_money(venue: Venue) -> None:
    desk = venue()
    desk.send(ORDER)
    desk.broker.fill(ORDER.id, D(100), close_of(1))
    desk.collect()
    desk.broker._cash_usd -= D("0.000001")
    told = ["cash: the ledger has 99000.000000 USD, the broker 98999.999999: -0.000001"]
    assert reconcile(desk.record, desk.broker) == told
    assert reconcile(replace(desk.record, cash_usd=D("98999.999999")), desk.broker) == []
