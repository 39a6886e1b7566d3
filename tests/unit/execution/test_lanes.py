"""Several orders on their way to one venue: order, pace, and what a slow answer holds up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.venues import Capabilities
from alphamill.execution import Lanes, send_orders
from alphamill.testing.broker import FakeBroker
from alphamill.testing.orders import market_order

D = Decimal
BUY, SELL, OTHER = market_order("A", 10), market_order("B", -4), market_order("C", 3)
ACCEPTED, IN_FLIGHT = OrderStatus.ACCEPTED, OrderStatus.IN_FLIGHT


class Gate:
    """Holds the answers about some symbols until it is opened; notes in which order submits came in."""

    def __init__(self, *symbols: str) -> None:
        self._held, self._open = symbols, threading.Event()
        self.came: list[str] = []

    def __call__(self, order: Order) -> None:
        self.came.append(order.symbol)
        if order.symbol in self._held:
            assert self._open.wait(30)

    def open(self) -> None:
        self._open.set()


@contextmanager
def gated(*symbols: str) -> Iterator[tuple[FakeBroker, Gate]]:
    gate = Gate(*symbols)
    try:
        yield FakeBroker(before_answer=gate), gate
    finally:
        gate.open()


def soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.005)


def test_an_order_without_an_answer_holds_up_no_other_and_stays_in_flight() -> None:
    with gated("B") as (broker, gate):
        lanes = Lanes(4, answer_secs=0.3)
        sent = send_orders([BUY, SELL, OTHER], broker, lanes=lanes)
        assert [(o.symbol, o.status) for o in sent] == [("A", ACCEPTED), ("B", IN_FLIGHT), ("C", ACCEPTED)]
        assert sent[1].detail == "no answer within 0.3 s"
        assert lanes.holds(SELL.id)
        assert not lanes.holds(BUY.id)
        # It is still on its way: asking now would hear "never seen", and it would be sent a second time.
        assert send_orders([sent[1]], broker, lanes=lanes)[0].status is IN_FLIGHT
        assert gate.came.count("B") == 1
        gate.open()
        soon(lambda: not lanes.holds(SELL.id))
        assert send_orders([sent[1]], broker, lanes=lanes)[0].status is ACCEPTED
        assert gate.came.count("B") == 1


@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_every_sell_is_handed_over_before_the_first_buy(lanes: int) -> None:
    orders = [market_order(f"{side}{n}", n if side == "BUY" else -n) for side in ("BUY", "SELL") for n in range(1, 9)]
    gate = Gate()
    sent = send_orders(orders, FakeBroker(before_answer=gate), lanes=Lanes(lanes))
    assert [o.id for o in sent] == [o.id for o in orders]
    assert {o.status for o in sent} == {ACCEPTED}
    if lanes == 1:
        assert gate.came == sorted(gate.came, key=lambda symbol: symbol.startswith("BUY"))


def test_a_slow_sell_lets_the_buys_go_once_it_is_on_its_way() -> None:
    with gated("B") as (broker, gate):
        send_orders([BUY, SELL, OTHER], broker, lanes=Lanes(2, answer_secs=0.2))
        assert sorted(gate.came) == ["A", "B", "C"]


def test_a_hanging_order_keeps_its_lane_and_what_finds_none_is_not_handed_over() -> None:
    with gated("B", "A") as (broker, gate):
        lanes = Lanes(2, answer_secs=0.2)
        sent = send_orders([BUY, SELL, OTHER], broker, lanes=lanes)
        assert [(o.symbol, o.status) for o in sent] == [("A", IN_FLIGHT), ("B", IN_FLIGHT)]
        assert send_orders([OTHER], broker, lanes=lanes) == []
        assert "C" not in gate.came
        gate.open()
        soon(lambda: not lanes.holds(BUY.id) and not lanes.holds(SELL.id))
        assert send_orders([OTHER], broker, lanes=lanes)[0].status is ACCEPTED


def test_a_halt_while_a_lane_is_waited_for_stops_what_is_not_handed_over() -> None:
    with gated("A") as (broker, gate):
        halted = threading.Event()
        gate_of = broker.before_answer

        def then_halt(order: Order) -> None:
            halted.set()
            gate_of(order)

        broker.before_answer = then_halt
        sent = send_orders(
            [BUY, OTHER, market_order("D", 1)],
            broker,
            stopped=lambda: halted.is_set(),
            lanes=Lanes(2, answer_secs=0.2),
        )
        assert [o.symbol for o in sent] == ["A"]
        assert gate.came == ["A"]


@pytest.mark.parametrize("lanes", [1, 3])
def test_no_more_orders_a_second_than_the_venue_allows(lanes: int) -> None:
    times: list[float] = []
    broker = FakeBroker(before_answer=lambda order: times.append(time.monotonic()))
    orders = [market_order("A", n) for n in range(1, 6)]
    send_orders(orders, broker, lanes=Lanes.to(Capabilities("paper", max_orders_per_sec=25, max_in_flight=lanes)))
    assert times[-1] - times[0] >= 4 / 25 - 0.02


def test_answers_that_fail_in_a_lane_are_judged_as_without_lanes() -> None:
    class Broken(FakeBroker):
        def submit(self, order: Order) -> Order:
            if order.symbol == "A":
                raise RuntimeError("adapter broke")
            return super().submit(order)

    sent = send_orders([BUY, OTHER], Broken(), lanes=Lanes(2))
    assert [(o.status, o.detail) for o in sent] == [(IN_FLIGHT, "RuntimeError: adapter broke"), (ACCEPTED, "")]
