"""Send committed orders. An order is sent under one id only, however often that takes."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from alphamill.domain.orders import Order, OrderStatus, Side
from alphamill.errors import AlphamillError, BrokerUnavailable, Unavailable
from alphamill.execution.lanes import Lanes
from alphamill.ports import Broker

_log = structlog.get_logger(__name__)

#: Of ours: to be sent, or sent without a clear answer. Of a broker: its gateway has it, the exchange says nothing yet.
_UNANSWERED: Final = (OrderStatus.PENDING, OrderStatus.IN_FLIGHT)


def send_orders(
    orders: Sequence[Order],
    broker: Broker,
    *,
    expired: Callable[[Order], bool] = lambda order: False,
    stopped: Callable[[], bool] = lambda: False,
    lanes: Lanes | None = None,
) -> list[Order]:
    """Send what is PENDING, ask for what is IN_FLIGHT; the orders as they stand afterwards.

    Sells are handed over before the first buy. An order in flight is asked for first and sent again, under the same
    id, only if the broker never saw it; one that is `expired` by then is CANCELLED instead. An unclear answer, and one
    that does not come in time, leaves it IN_FLIGHT. A clear no makes it REJECTED with the reason. Orders in another
    state come back unchanged.

    Parameters
    ----------
    stopped
        Asked before each order; once it is true nothing more is handed over, and the rest is left out of the answer.
    lanes
        How many may be on their way at once, and how fast; one after the other when None.
    """
    waiting = [order for order in orders if order.status in _UNANSWERED]
    waiting.sort(key=lambda order: order.side is Side.BUY)
    sent = (lanes or Lanes()).run(waiting, lambda order: _send(order, broker, expired), stopped)
    return [sent.get(o.id, o) for o in orders if o.id in sent or o.status not in _UNANSWERED]


def _send(order: Order, broker: Broker, expired: Callable[[Order], bool]) -> Order:
    try:
        answer = broker.order(order.id) if order.status is OrderStatus.IN_FLIGHT else None
        if answer is None and expired(order):
            return order.with_status(OrderStatus.CANCELLED, "its open has passed; the broker never saw it")
        return confirmed(order, answer or broker.submit(order))
    except Unavailable as error:
        return order.with_status(OrderStatus.IN_FLIGHT, str(error))
    except AlphamillError as error:
        return order.with_status(OrderStatus.REJECTED, f"{error.code}: {error}")
    except Exception as error:
        # Whatever broke in the adapter, the order may have reached the broker: only asking tells.
        _log.exception("no clear answer", order=order.id)
        return order.with_status(OrderStatus.IN_FLIGHT, f"{type(error).__name__}: {error}")


def confirmed(order: Order, answer: Order) -> Order:
    """Our order with the broker's view of it; reason and reference price stay ours.

    What is filled is what fills have shown. Quantity and state are taken over only when all fills the broker counts
    have arrived, and in shares of the same size: a closed order takes no more fills, so one would be lost. An order
    that the broker restated for a split after a part had filled is not of the same size until `collect` did so too.
    An order that the exchange has not acknowledged yet is IN_FLIGHT.

    Raises
    ------
    BrokerUnavailable
        The answer is about another order: nothing is known about this one.
    """
    if answer.id != order.id:
        raise BrokerUnavailable(f"asked about {order.id}, the broker answered about {answer.id}.")
    filled = order.filled_quantity
    if filled != answer.filled_quantity or (filled and order.quantity != answer.quantity):
        status = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.ACCEPTED
        return order.after(status=status, detail=answer.detail)
    status = OrderStatus.IN_FLIGHT if answer.status in _UNANSWERED else answer.status
    return order.after(status=status, quantity=answer.quantity, detail=answer.detail)


def cancelled(order: Order, broker: Broker, why: str) -> Order:
    """The order after it was called back; CANCELLED with `why` if the broker never saw it.

    A PENDING one is asked for too: the process may have died after sending and before writing that down.
    """
    if broker.order(order.id) is None:
        return order.with_status(OrderStatus.CANCELLED, f"{why}; the broker never saw it")
    return confirmed(order, broker.cancel(order.id))
