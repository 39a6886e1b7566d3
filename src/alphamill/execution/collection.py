"""Collect what the broker did since the ledger last asked."""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal

from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Fill, Order
from alphamill.errors import NotReconciled
from alphamill.execution.sending import confirmed
from alphamill.ports import Broker

_log = logging.getLogger(__name__)


def collect(record: PortfolioRecord, broker: Broker) -> tuple[list[Order], list[Fill]]:
    """Order states that changed and fills not yet in the ledger, each fill once.

    An order the ledger closed never has a fill outstanding (see `confirmed`). A fill of a closed order is
    therefore a repeat and is dropped.

    Raises
    ------
    BrokerUnavailable
        The broker cannot be asked; nothing was collected.
    NotReconciled
        More was filled than the broker's own order says.
    """
    fills = _new_fills(record, broker.fills(record.name, after=record.last_fill_id))
    filled = dict.fromkeys((order.id for order in record.open_orders), Decimal(0))
    for fill in fills:
        filled[fill.order_id] += fill.quantity
    updates = (_updated(order, broker, filled) for order in record.open_orders)
    return [after for before, after in zip(record.open_orders, updates, strict=True) if after != before], fills


def _new_fills(record: PortfolioRecord, answer: Sequence[Fill]) -> list[Fill]:
    open_ids = {order.id for order in record.open_orders}
    unique = {fill.id: fill for fill in answer if fill.id != record.last_fill_id}
    for fill in unique.values():
        if fill.order_id not in open_ids:
            _log.warning("fill %s repeats a closed order %s; dropped", fill.id, fill.order_id)
    return [fill for fill in unique.values() if fill.order_id in open_ids]


def _updated(order: Order, broker: Broker, filled: Mapping[str, Decimal]) -> Order:
    answer = broker.order(order.id)
    if answer is None:
        return order
    seen = order.filled_quantity + filled[order.id]
    if seen > answer.filled_quantity:
        raise NotReconciled(
            f"fills of order {order.id} sum to {seen}, the broker counts {answer.filled_quantity}.",
            field=order.id,
            remedy="Compare the broker's fills with the ledger before trading on.",
        )
    return confirmed(order, answer, seen)
