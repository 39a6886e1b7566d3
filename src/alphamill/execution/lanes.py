"""How orders reach one venue: several at once where it can, no faster than it allows, and none holds up the others."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.venues import Capabilities

#: How long one send is waited for. An order without an answer by then is in flight, and is asked for later.
ANSWER_SECS: Final = 10.0
#: While a lane or an answer is waited for, it is asked so often whether to stop.
_LOOK_SECS: Final = 0.05

#: Sends one order and gives it back as it stands afterwards; never raises.
Send = Callable[[Order], Order]


@dataclass
class _Round:
    """The answers of one call of `Lanes.run`. What comes after it ended is not taken: the order is asked for later."""

    answers: dict[str, Order] = field(default_factory=dict)
    started: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Lanes:
    """The lanes to one venue. They belong to the venue, not to one call: a send that hangs keeps its lane.

    With one lane (the paper broker, a backtest) every order is sent by the caller's thread, one after the other.

    Parameters
    ----------
    max_in_flight
        Orders that may be on their way at once.
    max_orders_per_sec
        None: as fast as they come.
    answer_secs
        See `ANSWER_SECS`.
    """

    def __init__(
        self,
        max_in_flight: int = 1,
        max_orders_per_sec: float | None = None,
        *,
        answer_secs: float = ANSWER_SECS,
    ) -> None:
        self._one_by_one = max_in_flight == 1
        self._gap_secs = 1 / max_orders_per_sec if max_orders_per_sec else 0.0
        self._answer_secs = answer_secs
        self._free = threading.BoundedSemaphore(max_in_flight)
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._next_at = 0.0

    @classmethod
    def to(cls, venue: Capabilities) -> "Lanes":
        """As many and as fast as the venue allows."""
        return cls(venue.max_in_flight, venue.max_orders_per_sec)

    def holds(self, order_id: str) -> bool:
        """Whether a send of this order is still on its way: the venue may see it yet, whatever it says now."""
        with self._changed:
            return order_id in self._busy

    def run(self, orders: Sequence[Order], send: Send, stopped: Callable[[], bool]) -> dict[str, Order]:
        """Hand orders over in this order; by id, those that were, as they stand. `stopped` is asked by this thread."""
        round_, due = _Round(), {}
        for order in orders:
            if not self._one_by_one and self.holds(order.id):
                due[order.id] = (order, 0.0)
                continue
            if stopped() or not self._ready(stopped):
                break
            due[order.id] = (order, time.monotonic() + self._answer_secs)
            if self._one_by_one:
                round_.answers[order.id] = send(order)
            else:
                self._start(order, send, round_)
        return {id_: self._answer(order, by, round_) for id_, (order, by) in due.items()}

    def _ready(self, stopped: Callable[[], bool]) -> bool:
        """Wait for the venue's pace and for a free lane; False when told to stop, or when no lane becomes free."""
        while (wait_secs := self._next_at - time.monotonic()) > 0:
            time.sleep(min(wait_secs, _LOOK_SECS))
            if stopped():
                return False
        self._next_at = time.monotonic() + self._gap_secs
        give_up = time.monotonic() + self._answer_secs
        while not self._one_by_one and not self._free.acquire(timeout=_LOOK_SECS):
            if stopped() or time.monotonic() > give_up:
                return False
        return True

    def _start(self, order: Order, send: Send, round_: _Round) -> None:
        def work() -> None:
            round_.started.release()
            try:
                round_.answers[order.id] = send(order)
            finally:
                with self._changed:
                    self._busy.discard(order.id)
                    self._changed.notify_all()
                self._free.release()

        with self._changed:
            self._busy.add(order.id)
        # A daemon: an answer that never comes must not keep the process from ending.
        threading.Thread(target=work, name=f"send {order.id}", daemon=True).start()
        round_.started.acquire()  # the next order starts after this one

    def _answer(self, order: Order, by: float, round_: _Round) -> Order:
        with self._changed:
            self._changed.wait_for(lambda: order.id in round_.answers, timeout=max(by - time.monotonic(), 0.0))
            answer = round_.answers.get(order.id)
        return answer or order.with_status(OrderStatus.IN_FLIGHT, f"no answer within {self._answer_secs:g} s")
