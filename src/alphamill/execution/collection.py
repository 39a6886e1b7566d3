"""Collect what the broker did since the ledger last asked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Final

import structlog

from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import REVERSAL, Fill, Order
from alphamill.domain.venues import Events
from alphamill.errors import NotFound, NotReconciled
from alphamill.execution.corporate_actions import split_order
from alphamill.execution.sending import confirmed
from alphamill.ports import Broker

_log = structlog.get_logger(__name__)


_WHOLE: Final = Decimal(1)

#: An order's id -> the order as the ledger has it, and the ids of the fills it has booked.
Booked = Callable[[str], tuple[Order, frozenset[str]]]


def _none(order_id: str) -> tuple[Order, frozenset[str]]:
    raise NotFound(f"no order {order_id} was ever closed.", field="order_id")


def collect(
    record: PortfolioRecord,
    broker: Broker,
    known: Collection[str] = (),
    *,
    booked: Booked = _none,
    splits: Mapping[str, float] | None = None,
    share_step: Decimal = _WHOLE,
) -> tuple[list[Order], list[Fill]]:
    """Order states that changed and fills not yet in the ledger, each fill once, by time.

    A fill of an order that the ledger closed is booked as well, unless the ledger has it: a venue may fill after it
    confirmed a cancel. The order keeps its state and says how much has filled. A fill that the venue takes back is
    booked as its `Fill.reversal`; one that the ledger never had is left out. Where the broker counts more than its
    newest fills show, all are asked for: one may show up after others that are newer.

    Parameters
    ----------
    known
        Ids of the fills that the ledger has of its open orders; a broker may tell them again.
    booked
        Asks the ledger for any order of its own and the ids of its fills; `NotFound` where it has none.
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
        More was filled than the broker's own order says, the broker does not know the ledger's cursor, or it tells of
        an order that the ledger does not have.
    """
    news = _News(record, broker, known, booked)
    # Fills first: what fills in between is in the order's answer, never in the fills alone.
    fills = news.fills(_newest(record, broker))
    answers = [(order, broker.order(order.id)) for order in record.open_orders]

    def counted(fills: Sequence[Fill]) -> list[tuple[Order, Order | None]]:
        early, late = map(_quantities, split_by_session(record, fills))
        before = ((_with_fills(order, early), answer) for order, answer in answers)
        now = ((_as_restated(order, answer, splits or {}, share_step), answer) for order, answer in before)
        return [(_with_fills(order, late), answer) for order, answer in now]

    if any(answer and order.filled_quantity < answer.filled_quantity for order, answer in counted(fills)):
        fills = news.fills(broker.events(record.name))
    updates = [_updated(order, answer) for order, answer in counted(fills)]
    changed = [after for before, after in zip(record.open_orders, updates, strict=True) if after != before]
    late = [_closed_after(order, _quantities(fills)) for order in news.closed_orders(fills)]
    return [*changed, *late], fills


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


def _newest(record: PortfolioRecord, broker: Broker) -> Events:
    cursor = record.last_fill_id and record.last_fill_id.removeprefix(REVERSAL)
    try:
        return broker.events(record.name, cursor)
    except NotFound as error:
        raise NotReconciled(
            f"the broker does not know {record.last_fill_id}, where the ledger left off.",
            field=record.last_fill_id,
            remedy="Its books are not those the ledger traded with; see docs/runbooks/ledger-and-broker-disagree.md.",
        ) from error


class _News:
    """Which of the fills and busts a broker tells are new to the ledger."""

    def __init__(self, record: PortfolioRecord, broker: Broker, known: Collection[str], booked: Booked) -> None:
        self._record, self._broker, self._known, self._ask = record, broker, known, booked
        self._open = {order.id for order in record.open_orders}
        self._answers: dict[str, tuple[Order, frozenset[str]]] = {}

    def fills(self, events: Events) -> list[Fill]:
        """New fills and reversals, by time; of equal times a reversal is the later one."""
        told = {fill.id: fill for fill in events.fills}
        new = [fill for fill in told.values() if fill.id not in events.busts and not self._has(fill)]
        new += [fill.reversal() for fill in self._taken_back(events, told)]
        return sorted(new, key=lambda fill: (fill.filled_at, fill.is_reversal))

    def closed_orders(self, fills: Sequence[Fill]) -> list[Order]:
        """Orders of `fills` that the ledger had closed, as it has them."""
        ids = dict.fromkeys(fill.order_id for fill in fills if fill.order_id not in self._open)
        return [self._answers[order_id][0] for order_id in ids]

    def _has(self, fill: Fill) -> bool:
        """Whether the ledger has booked it. Of its open orders, it names all fills beforehand."""
        if fill.id == self._record.last_fill_id or fill.id in self._known:
            return True
        if fill.order_id in self._open:
            return False
        has = fill.id in self._booked(fill)
        said = "a fill repeats a closed order; dropped" if has else "a fill came after its order was closed"
        _log.warning(said, fill=fill.id, order=fill.order_id)
        return has

    def _taken_back(self, events: Events, told: Mapping[str, Fill]) -> list[Fill]:
        """The busted fills that the ledger has booked and not taken back yet."""
        if not told.keys() >= set(events.busts):
            told = {fill.id: fill for fill in self._broker.events(self._record.name).fills}
        unknown = [id_ for id_ in events.busts if id_ not in told]
        if unknown:
            raise NotReconciled(
                f"the broker takes back {', '.join(unknown)}, which it never told.",
                field=unknown[0],
                remedy="Compare the broker's fills with the ledger before trading on.",
            )
        busted = [told[id_] for id_ in dict.fromkeys(events.busts)]
        return [fill for fill in busted if {fill.id, fill.reversal().id} & self._booked(fill) == {fill.id}]

    def _booked(self, fill: Fill) -> frozenset[str]:
        """Ids of the fills that the ledger has of the order of `fill`."""
        try:
            if fill.order_id not in self._answers:
                self._answers[fill.order_id] = self._ask(fill.order_id)
            return self._answers[fill.order_id][1]
        except NotFound as error:
            raise NotReconciled(
                f"the broker tells {fill.id} of order {fill.order_id}, which the ledger does not have.",
                field=fill.order_id,
                remedy="Somebody else trades at this account; see docs/runbooks/ledger-and-broker-disagree.md.",
            ) from error


def _as_restated(order: Order, answer: Order | None, splits: Mapping[str, float], share_step: Decimal) -> Order:
    """In new shares where the broker restated it: what it had closed before the split stays in old ones."""
    if answer is None or answer.quantity == order.quantity:
        return order
    return in_new_shares(order, splits, share_step)


def _quantities(fills: Sequence[Fill]) -> dict[str, Decimal]:
    """Shares filled, by order; what is taken back counts against them."""
    filled: dict[str, Decimal] = {}
    for fill in fills:
        quantity = -fill.quantity if fill.is_reversal else fill.quantity
        filled[fill.order_id] = filled.get(fill.order_id, Decimal(0)) + quantity
    return filled


def _with_fills(order: Order, filled: Mapping[str, Decimal]) -> Order:
    more = filled.get(order.id)
    return order.after(filled_quantity=order.filled_quantity + more) if more else order


def _closed_after(order: Order, filled: Mapping[str, Decimal]) -> Order:
    """An order that the ledger had closed, with what came later. Its state stays: what was decided on it is done."""
    after = _with_fills(order, filled)
    return after.after(
        detail=f"{after.filled_quantity:f} of {order.quantity:f} filled, told after it was {order.status}"
    )


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
