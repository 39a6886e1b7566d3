"""Collect what the broker did since the ledger last asked."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

import structlog

from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Fill, Order
from alphamill.errors import NotFound, NotReconciled
from alphamill.execution.corporate_actions import split_order
from alphamill.execution.sending import confirmed
from alphamill.ports import Broker

_log = structlog.get_logger(__name__)


_WHOLE: Final = Decimal(1)


def collect(
    record: PortfolioRecord,
    broker: Broker,
    known: Collection[str] = (),
    *,
    splits: Mapping[str, float] | None = None,
    share_step: Decimal = _WHOLE,
) -> tuple[list[Order], list[Fill]]:
    """Order states that changed and fills not yet in the ledger, each fill once, by time.

    An order the ledger closed never has a fill outstanding (see `confirmed`). A fill of a closed order is
    therefore a repeat and is dropped. Where the broker counts more than its newest fills show, all are asked for:
    one may show up after others that are newer.

    Parameters
    ----------
    known
        Ids of the fills that the ledger has of its open orders; a broker may tell them again.
    splits
        Split factors, by symbol, of the session after the one settled last. What an order had filled before, also by a
        fill that is told only now, is counted in new shares, as the fills that follow the split are.
    share_step
        What the broker rounds split quantities to.

    Raises
    ------
    BrokerUnavailable
        The broker cannot be asked; nothing was collected.
    NotReconciled
        More was filled than the broker's own order says, or the broker does not know the ledger's last fill.
    """
    # Fills first: what fills in between is in the order's answer, never in the fills alone.
    fills = _new_fills(record, _newest(record, broker), known)
    answers = [(order, broker.order(order.id)) for order in record.open_orders]

    def counted(fills: Sequence[Fill]) -> list[tuple[Order, Order | None]]:
        early, late = map(_quantities, split_by_session(record, fills))
        before = ((_with_fills(order, early), answer) for order, answer in answers)
        now = ((_as_restated(order, answer, splits or {}, share_step), answer) for order, answer in before)
        return [(_with_fills(order, late), answer) for order, answer in now]

    if any(answer and order.filled_quantity < answer.filled_quantity for order, answer in counted(fills)):
        fills = _new_fills(record, broker.fills(record.name), known)
    updates = [_updated(order, answer) for order, answer in counted(fills)]
    return [after for before, after in zip(record.open_orders, updates, strict=True) if after != before], fills


def split_by_session(record: PortfolioRecord, fills: Sequence[Fill]) -> tuple[list[Fill], list[Fill]]:
    """Fills of sessions that were settled before they were told, and those of the session that is settled now.

    The first kind comes before the splits and dividends of this session, the second after them.
    """
    since = record.last_settled_at
    if since is None:
        return [], list(fills)
    return [f for f in fills if f.filled_at <= since], [f for f in fills if f.filled_at > since]


def in_new_shares(order: Order, splits: Mapping[str, float], share_step: Decimal) -> Order:
    """A partly filled order after the split of its symbol. One without fills learns its quantity from the broker."""
    if not order.filled_quantity or order.symbol not in splits:
        return order
    after = split_order(order, splits[order.symbol], share_step)
    return order.after(quantity=after.quantity, filled_quantity=after.filled_quantity)


def _newest(record: PortfolioRecord, broker: Broker) -> list[Fill]:
    try:
        answer = broker.fills(record.name, after=record.last_fill_id)
    except NotFound as error:
        raise NotReconciled(
            f"the broker does not know fill {record.last_fill_id}, the last one in the ledger.",
            field=record.last_fill_id,
            remedy="Its books are not those the ledger traded with; see docs/runbooks/ledger-and-broker-disagree.md.",
        ) from error
    open_ids = {order.id for order in record.open_orders}
    for fill in answer:
        if fill.id != record.last_fill_id and fill.order_id not in open_ids:
            _log.warning("a fill repeats a closed order; dropped", fill=fill.id, order=fill.order_id)
    return answer


def _new_fills(record: PortfolioRecord, answer: Sequence[Fill], known: Collection[str]) -> list[Fill]:
    open_ids = {order.id for order in record.open_orders}
    unique = {fill.id: fill for fill in answer if fill.id != record.last_fill_id and fill.id not in known}
    return sorted((f for f in unique.values() if f.order_id in open_ids), key=lambda fill: fill.filled_at)


def _as_restated(order: Order, answer: Order | None, splits: Mapping[str, float], share_step: Decimal) -> Order:
    """In new shares where the broker restated it: what it had closed before the split stays in old ones."""
    if answer is None or answer.quantity == order.quantity:
        return order
    return in_new_shares(order, splits, share_step)


def _quantities(fills: Sequence[Fill]) -> dict[str, Decimal]:
    """Shares filled, by order."""
    filled: dict[str, Decimal] = {}
    for fill in fills:
        filled[fill.order_id] = filled.get(fill.order_id, Decimal(0)) + fill.quantity
    return filled


def _with_fills(order: Order, filled: Mapping[str, Decimal]) -> Order:
    more = filled.get(order.id)
    return order.after(filled_quantity=order.filled_quantity + more) if more else order


def _updated(order: Order, answer: Order | None) -> Order:
    if answer is None:
        return order
    if order.filled_quantity > answer.filled_quantity:
        raise NotReconciled(
            f"fills of order {order.id} sum to {order.filled_quantity}, the broker counts {answer.filled_quantity}.",
            field=order.id,
            remedy="Compare the broker's fills with the ledger before trading on.",
        )
    return confirmed(order.after(quantity=answer.quantity), answer)
