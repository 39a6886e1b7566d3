"""Answers that are lost, late, doubled or out of order, on either side of the broker's door."""

from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import NotReconciled, StoreUnavailable
from alphamill.execution import collect
from alphamill.testing.broker import FakeBroker, fills_at
from alphamill.testing.decisions import sample_spec
from alphamill.testing.faults import Fault, FaultPlan, at_step, faulty_books, faulty_broker
from alphamill.testing.orders import close_of, market_order, session_bars


def _record(*orders: Order, last_fill_id: str | None = None) -> PortfolioRecord:
    return PortfolioRecord(
        spec=sample_spec(),
        name="demo",
        state=TradingState.ACTIVE,
        state_reason="",
        cash_usd=Decimal(10_000),
        positions={},
        open_orders=orders,
        nav_usd=Decimal(10_000),
        peak_nav_usd=Decimal(10_000),
        last_settled_at=None,
        last_decision_at=None,
        last_fill_id=last_fill_id,
        model_version="",
    )


def test_an_order_whose_writing_was_not_confirmed_is_taken_from_the_log_and_not_twice(tmp_path: Path) -> None:
    books = SqlPaperStore(f"sqlite:///{tmp_path}/books.db")
    plan = FaultPlan(at_step(3, Fault.LOST_ANSWER))  # it reads, opens the account, then writes this order
    broker = PaperBroker(BrokerRef(), initial_cash={"demo": Decimal(10_000)}, store=faulty_books(books, plan))
    order = market_order("A", 10)
    with pytest.raises(StoreUnavailable):
        broker.submit(order)
    assert broker.order(order.id) == broker.submit(order)
    assert [event.kind for event in books.read()] == ["account_opened", "order_recorded"]
    books.close()


def test_a_session_whose_writing_was_not_confirmed_fills_once(tmp_path: Path) -> None:
    books = SqlPaperStore(f"sqlite:///{tmp_path}/books.db")
    plan = FaultPlan(at_step(4, Fault.LOST_ANSWER))
    broker = PaperBroker(BrokerRef(), initial_cash={"demo": Decimal(10_000)}, store=faulty_books(books, plan))
    broker.submit(market_order("A", 10))
    bars = session_bars(1, {"A": 100.0})
    with pytest.raises(StoreUnavailable):
        broker.on_bars(bars)
    broker.on_bars(bars)
    reopened = PaperBroker(BrokerRef(), initial_cash={}, store=books)
    assert len(fills_at(broker)) == len(fills_at(reopened)) == 1
    books.close()


def _two_orders_one_filled_in_parts() -> tuple[FakeBroker, Order, Order]:
    broker = FakeBroker()
    first, second = market_order("A", 10), market_order("B", 5)
    broker.submit(first)
    broker.submit(second)
    broker.fill(first.id, Decimal(100), close_of(1), Decimal(4))
    broker.fill(second.id, Decimal(50), close_of(1))
    return broker, first, second


def test_a_fill_that_shows_up_after_newer_ones_is_collected() -> None:
    broker, first, second = _two_orders_one_filled_in_parts()
    plan = FaultPlan(lambda number, label, possible: Fault.DELAYED_ITEM if label == "broker.events" else None)
    orders, seen = collect(_record(first, second), faulty_broker(broker, plan))
    assert [fill.symbol for fill in seen] == ["B"]
    open_now = [order for order in orders if not order.status.is_final]
    assert [order.symbol for order in open_now] == ["A"]
    orders, fills = collect(_record(*open_now, last_fill_id=seen[-1].id), broker)
    assert [(fill.symbol, fill.quantity) for fill in fills] == [("A", 4)]
    assert orders[0].filled_quantity == 4


def test_a_fill_of_an_open_order_that_is_told_again_counts_once() -> None:
    broker, first, second = _two_orders_one_filled_in_parts()
    orders, seen = collect(_record(first, second), broker)
    partly = next(order for order in orders if order.status is OrderStatus.PARTIALLY_FILLED)
    plan = FaultPlan(at_step(1, Fault.DOUBLED_ANSWER))
    known = [fill.id for fill in seen]
    assert collect(_record(partly, last_fill_id=known[-1]), faulty_broker(broker, plan), known) == ([], [])


def test_fills_in_the_wrong_order_are_booked_in_the_order_of_their_times() -> None:
    broker = FakeBroker()
    order = market_order("A", 10)
    broker.submit(order)
    for session in (1, 2):
        broker.fill(order.id, Decimal(100), close_of(session), Decimal(5))
    plan = FaultPlan(at_step(1, Fault.DISORDER))
    _, fills = collect(_record(order), faulty_broker(broker, plan))
    assert [fill.filled_at for fill in fills] == [close_of(1), close_of(2)]


def test_a_broker_that_does_not_know_the_last_fill_has_other_books() -> None:
    with pytest.raises(NotReconciled, match="fill_gone"):
        collect(_record(market_order("A", 10), last_fill_id="fill_gone"), FakeBroker())
