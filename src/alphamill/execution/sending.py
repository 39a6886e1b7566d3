"""Send committed orders. An order is sent under one id only, however often that takes."""

from collections.abc import Callable, Sequence

import structlog

from alphamill.domain.orders import Order, OrderStatus
from alphamill.errors import AlphamillError, BrokerUnavailable, Unavailable
from alphamill.ports import Broker

_log = structlog.get_logger(__name__)


def send_orders(
    orders: Sequence[Order], broker: Broker, *, expired: Callable[[Order], bool] = lambda order: False
) -> list[Order]:
    """Send what is PENDING, ask for what is IN_FLIGHT; the orders as they stand afterwards.

    An order in flight is asked for first and sent again, under the same id, only if the broker never
    saw it; one that is `expired` by then is CANCELLED instead. An unclear answer leaves it IN_FLIGHT. A clear
    no makes it REJECTED with the reason. Orders in another state come back unchanged.
    """
    return [_send(order, broker, expired) for order in orders]


def _send(order: Order, broker: Broker, expired: Callable[[Order], bool]) -> Order:
    if order.status not in (OrderStatus.PENDING, OrderStatus.IN_FLIGHT):
        return order
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
    return order.after(status=answer.status, quantity=answer.quantity, detail=answer.detail)


def cancelled(order: Order, broker: Broker, why: str) -> Order:
    """The order after it was called back; CANCELLED with `why` if the broker never saw it.

    A PENDING one is asked for too: the process may have died after sending and before writing that down.
    """
    if broker.order(order.id) is None:
        return order.with_status(OrderStatus.CANCELLED, f"{why}; the broker never saw it")
    return confirmed(order, broker.cancel(order.id))
