"""Sending, collecting and reconciling against a broker that misbehaves."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, OrderStatus, Position
from alphamill.domain.venues import Events
from alphamill.errors import BrokerUnavailable, NotReconciled
from alphamill.execution import collect, reconcile, send_orders
from alphamill.execution.corporate_actions import split_order
from alphamill.execution.sending import confirmed
from alphamill.testing.broker import Answer, FakeBroker, positions_at
from alphamill.testing.decisions import sample_spec
from alphamill.testing.orders import close_of, market_order, session_bars

D = Decimal
ORDER = market_order("A", 10)
OPEN = dt.datetime(2012, 10, 2, 13, 30, tzinfo=dt.UTC)


def record(*orders: Order, last_fill_id: str | None = None, cash_usd: int = 0, **positions: int) -> PortfolioRecord:
    return PortfolioRecord(
        spec=sample_spec(),
        name="demo",
        state=TradingState.ACTIVE,
        state_reason="",
        cash_usd=D(cash_usd),
        positions={s: Position(s, D(q), D(1)) for s, q in positions.items()},
        open_orders=orders,
        nav_usd=D(1),
        peak_nav_usd=D(1),
        last_settled_at=close_of(0),
        last_decision_at=close_of(0),
        last_fill_id=last_fill_id,
        model_version="1",
    )


def test_pending_order_is_accepted_and_keeps_its_reason() -> None:
    (sent,) = send_orders([ORDER], FakeBroker())
    assert sent == ORDER.with_status(OrderStatus.ACCEPTED)


def test_rejected_order_says_why() -> None:
    (sent,) = send_orders([ORDER], FakeBroker([Answer.REJECT]))
    assert (sent.status, sent.detail) == (OrderStatus.REJECTED, "scripted")


def test_an_order_whose_id_is_not_its_content_is_rejected_with_the_error_code() -> None:
    (sent,) = send_orders([replace(ORDER, quantity=D(11))], FakeBroker())
    assert sent.status is OrderStatus.REJECTED
    assert sent.detail.startswith("CONFLICT: ")


@pytest.mark.parametrize("lost", [Answer.LOST_ACK, Answer.LOST_ORDER])
def test_unclear_answer_leaves_the_order_in_flight_and_asking_settles_it(lost: Answer) -> None:
    broker = FakeBroker([lost])
    (unclear,) = send_orders([ORDER], broker)
    assert unclear.status is OrderStatus.IN_FLIGHT
    (settled,) = send_orders([unclear], broker)
    assert (settled.id, settled.status) == (ORDER.id, OrderStatus.ACCEPTED)
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert [position.quantity for position in positions_at(broker)] == [10]


def test_orders_already_answered_are_not_sent_again() -> None:
    broker = FakeBroker()
    accepted = ORDER.with_status(OrderStatus.ACCEPTED)
    assert send_orders([accepted], broker) == [accepted]
    assert broker.order(ORDER.id) is None


def test_one_unclear_answer_does_not_stop_the_others() -> None:
    other = market_order("B", 5)
    sent = send_orders([ORDER, other], FakeBroker([Answer.LOST_ORDER]))
    assert [order.status for order in sent] == [OrderStatus.IN_FLIGHT, OrderStatus.ACCEPTED]


class WrongAnswers(FakeBroker):
    def submit(self, order: Order) -> Order:
        if order.symbol == "A":
            raise RuntimeError("adapter broke")
        return market_order("Z", 1)


def test_broken_adapter_and_foreign_answer_count_as_unclear() -> None:
    with capture_logs() as logs:
        sent = send_orders([ORDER, market_order("B", 5)], WrongAnswers())
    assert [order.status for order in sent] == [OrderStatus.IN_FLIGHT, OrderStatus.IN_FLIGHT]
    assert sent[0].detail == "RuntimeError: adapter broke"
    assert [(line["event"], line["order"]) for line in logs] == [("no clear answer", ORDER.id)]


def accepted(broker: FakeBroker, order: Order = ORDER) -> Order:
    return send_orders([order], broker)[0]


@pytest.mark.parametrize("duplicates", [False, True])
def test_collect_gives_each_fill_once_and_the_final_state(duplicates: bool) -> None:
    broker = FakeBroker(duplicate_fills=duplicates)
    order = accepted(broker)
    broker.on_bars(session_bars(1, {"A": 101.0}))
    orders, fills = collect(record(order), broker)
    assert [(f.quantity, f.price) for f in fills] == [(10, D("101.0"))]
    assert [(o.status, o.filled_quantity) for o in orders] == [(OrderStatus.FILLED, 10)]
    assert collect(record(last_fill_id=fills[-1].id), broker) == ([], [])


def test_repeated_fill_of_a_closed_order_is_dropped() -> None:
    broker = FakeBroker()
    order = accepted(broker)
    broker.on_bars(session_bars(1, {"A": 101.0}))
    (closed,), (fill,) = collect(record(order), broker)
    with capture_logs() as logs:
        assert collect(record(), broker, booked=lambda order_id: (closed, frozenset({fill.id}))) == ([], [])
    assert [line["order"] for line in logs if "repeats a closed order" in line["event"]] == [order.id]


def test_partial_fills_add_up() -> None:
    broker = FakeBroker()
    order = accepted(broker)
    first = broker.fill(order.id, D(100), OPEN, D(4))
    (order,), fills = collect(record(order), broker)
    assert (order.status, order.filled_quantity, fills) == (OrderStatus.PARTIALLY_FILLED, 4, [first])
    broker.fill(order.id, D(100), OPEN)
    (order,), fills = collect(record(order, last_fill_id=first.id), broker)
    assert (order.status, order.filled_quantity, len(fills)) == (OrderStatus.FILLED, 10, 1)


class Splitting(FakeBroker):
    """A broker that restates its open orders, as a real one does on the ex-date."""

    def split(self, factor: float) -> None:
        self._orders = {id_: split_order(order, factor, D(1)) for id_, order in self._orders.items()}


@pytest.mark.parametrize(("factor", "before", "after"), [(0.5, 8, 20), (3.0, 1, 3)])
def test_parts_before_and_after_a_split_add_up_in_new_shares(factor: float, before: int, after: int) -> None:
    """4 of 10 filled; then 8 of 20, or 1 of 1 + 2; the next part fills the rest."""
    broker = Splitting()
    order = accepted(broker)
    first = broker.fill(order.id, D(100), OPEN, D(4))
    (order,), _ = collect(record(order), broker)
    broker.split(factor)
    second = broker.fill(order.id, D(100), OPEN)
    (order,), fills = collect(record(order, last_fill_id=first.id), broker, splits={"A": factor})
    assert fills == [second]
    assert second.quantity == after - before
    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.FILLED, after, after)


def test_split_without_a_new_part_restates_the_order_in_the_ledger() -> None:
    broker = Splitting()
    order = accepted(broker)
    first = broker.fill(order.id, D(100), OPEN, D(4))
    (order,), _ = collect(record(order), broker)
    broker.split(0.5)
    known = record(order, last_fill_id=first.id)
    ((after,), fills) = collect(known, broker, splits={"A": 0.5})
    assert (after.status, after.quantity, after.filled_quantity, fills) == (OrderStatus.PARTIALLY_FILLED, 20, 8, [])
    assert collect(replace(known, open_orders=(after,)), broker) == ([], [])


@pytest.mark.parametrize("new_part", [0, 1, 3])
def test_an_order_closed_after_a_split_stays_open_until_the_ledger_counts_in_new_shares(new_part: int) -> None:
    """4 of 10 filled, 1 of 3 after a 1:3 split; with a new part of 3 old and new counts are even equal."""
    broker = Splitting()
    order = accepted(broker, market_order("A", 19))
    first = broker.fill(order.id, D(100), OPEN, D(4))
    (order,), _ = collect(record(order), broker)
    broker.split(3.0)
    if new_part:
        broker.fill(order.id, D(300), OPEN, D(new_part))
    unsettled = confirmed(order, broker.cancel(order.id))
    assert unsettled.status is OrderStatus.PARTIALLY_FILLED
    assert (unsettled.quantity, unsettled.filled_quantity) == (19, 4)
    (settled,), fills = collect(record(unsettled, last_fill_id=first.id), broker, splits={"A": 3.0})
    assert sum(fill.quantity for fill in fills) == new_part
    assert (settled.status, settled.quantity, settled.filled_quantity) == (OrderStatus.CANCELLED, 6, 1 + new_part)


class FillsMeanwhile(FakeBroker):
    """Fills an order right after it answered the first question."""

    asked = False

    def order(self, order_id: str) -> Order | None:
        answer = super().order(order_id)
        self._fill_once()
        return answer

    def events(self, portfolio: str, cursor: str | None = None) -> Events:
        answer = super().events(portfolio, cursor)
        self._fill_once()
        return answer

    def _fill_once(self) -> None:
        if not self.asked:
            self.asked = True
            self.fill(ORDER.id, D(100), OPEN)


def test_a_fill_between_two_questions_is_collected() -> None:
    broker = FillsMeanwhile()
    order = accepted(broker)
    ((after,), fills) = collect(record(order), broker)
    assert (after.status, after.filled_quantity) == (OrderStatus.FILLED, 10)
    assert [fill.quantity for fill in fills] == [10]


class LateFills(FakeBroker):
    def events(self, portfolio: str, cursor: str | None = None) -> Events:
        return replace(super().events(portfolio, cursor), fills=())


def test_order_stays_open_until_all_its_fills_arrived() -> None:
    broker = LateFills()
    order = accepted(broker)
    broker.fill(order.id, D(100), OPEN)
    assert collect(record(order), broker) == ([], [])


def test_more_fills_than_the_broker_counts_stop_the_line() -> None:
    broker = FakeBroker()
    order = accepted(broker)
    broker.fill(order.id, D(100), OPEN)
    with pytest.raises(NotReconciled, match="sum to 14, the broker counts 10"):
        collect(record(replace(order, filled_quantity=D(4))), broker)


def test_order_the_broker_never_saw_is_left_as_it_is() -> None:
    assert collect(record(ORDER), FakeBroker()) == ([], [])


def test_broker_that_is_down_is_an_error_when_collecting() -> None:
    with pytest.raises(BrokerUnavailable):
        collect(record(ORDER), FakeBroker(down=True))


def test_ledger_and_broker_agree() -> None:
    broker = FakeBroker()
    order = accepted(broker)
    assert reconcile(record(order, market_order("B", 1)), broker) == []
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert reconcile(record(A=10, cash_usd=-1000), broker) == []


def test_differences_are_told_in_words() -> None:
    broker = FakeBroker()
    order = accepted(broker)
    unknown = market_order("B", 3).with_status(OrderStatus.ACCEPTED)
    broker.on_bars(session_bars(1, {"A": 100.0}))
    told = reconcile(record(order, unknown, A=7, C=2), broker)
    assert told == [
        "A: the ledger holds 7, the broker 10",
        "C: the ledger holds 2, the broker 0",
        "cash: the ledger has 0.000000 USD, the broker -1000.000000: -1000.000000",
        f"order {order.id} (buy 10 A): the ledger has 0 filled, the broker 10: collect its fills first",
        f"order {unknown.id} (buy 3 B): the ledger says accepted, the broker does not know it",
    ]
