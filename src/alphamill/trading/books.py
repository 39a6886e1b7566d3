"""What a portfolio's record says about its cash, positions and open orders. Asks the broker, changes nothing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial, reduce
from typing import Final

from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import CashEntry, CashKind, PortfolioRecord
from alphamill.domain.orders import Fill, Order, OrderStatus, Position
from alphamill.execution import Account, collect, in_new_shares, reconcile, split_by_session
from alphamill.ports import Broker, LedgerView
from alphamill.trading.market import Action

#: Sent or to be sent, and nobody knows yet whether the broker has it.
UNANSWERED: Final = (OrderStatus.PENDING, OrderStatus.IN_FLIGHT)


def book_of(record: PortfolioRecord, fills: Iterable[Fill] = ()) -> Account:
    """The book as it was settled, with `fills` of settled sessions that the broker told only now."""
    return reduce(Account.apply, fills, Account(record.cash_usd, record.positions))


def after_actions(
    account: Account, actions: Sequence[Action], share_step: Decimal, fills: Iterable[Fill] = ()
) -> Account:
    """The book after splits and dividends, and after them the `fills` of their session."""
    for a in actions:
        account = account.apply_action(a.symbol, a.price_factor, a.split_factor, a.previous_close, share_step)
    return reduce(Account.apply, fills, account)


def entries_of(
    portfolio: str, at: datetime, account: Account, actions: Sequence[Action], share_step: Decimal
) -> list[CashEntry]:
    """The cash that `after_actions` brings to `account`, each amount under its own name."""
    entries = []
    for a in actions:
        held = account.positions.get(a.symbol)
        account, dividend, in_lieu = account.acted(
            a.symbol, a.price_factor, a.split_factor, a.previous_close, share_step
        )
        for kind, amount in ((CashKind.DIVIDEND, dividend), (CashKind.CASH_IN_LIEU, in_lieu)):
            if held is not None and amount:
                told = f"{held.quantity:f} shares, price factor {a.price_factor:g}, close before {a.previous_close:f}"
                entries.append(CashEntry.of(portfolio, a.symbol, kind, at, held.quantity, amount, told))
    return entries


def payouts_of(portfolio: str, at: datetime, paid: Sequence[tuple[Position, Decimal]]) -> list[CashEntry]:
    """What delisted positions were paid out with."""
    return [
        CashEntry.of(portfolio, p.symbol, CashKind.DELISTING, at, p.quantity, cash, f"{p.quantity:f} shares paid out")
        for p, cash in paid
        if cash
    ]


def collected(
    record: PortfolioRecord, broker: Broker, ledger: LedgerView, actions: Sequence[Action], share_step: Decimal
) -> tuple[list[Order], list[Fill], list[Fill]]:
    """What the broker did since the ledger last asked, counted in the shares that `actions` left.

    Order states, fills of sessions settled before, and fills of the session that is settled now.
    """
    known = known_fills(record, ledger)
    booked = partial(_booked, ledger)
    orders, fills = collect(record, broker, known, booked=booked, splits=_splits(actions), share_step=share_step)
    return orders, *split_by_session(record, fills)


def _booked(ledger: LedgerView, order_id: str) -> tuple[Order, frozenset[str]]:
    found = ledger.trail(order_id)
    return found.order, frozenset(fill.id for fill in found.fills)


def restated(record: PortfolioRecord, actions: Sequence[Action], share_step: Decimal) -> list[Order]:
    """Open orders in the shares that `actions` left; see `in_new_shares`."""
    return [in_new_shares(order, _splits(actions), share_step) for order in record.open_orders]


def _splits(actions: Sequence[Action]) -> Mapping[str, float]:
    return {action.symbol: action.split_factor for action in actions if action.split_factor != 1.0}


def in_doubt(orders: Sequence[Order]) -> str:
    """Names open orders whose fate is not known."""
    return f"orders in doubt: {', '.join(order.id for order in orders)}"


def unclear(record: PortfolioRecord, broker: Broker, replaced: Collection[str]) -> list[str]:
    """Why nothing may be sent now: an order in doubt, or a difference between ledger and broker.

    The orders of `replaced` symbols were to be cancelled. One that is still open may yet fill: another order for its
    symbol could trade twice.
    """
    doubtful = [o for o in record.open_orders if o.symbol in replaced or o.status in UNANSWERED]
    return [in_doubt(doubtful)] if doubtful else reconcile(record, broker)


def known_fills(record: PortfolioRecord, ledger: LedgerView) -> set[str]:
    """Ids of the fills that the ledger has of open orders; a broker may tell them again."""
    return {fill.id for order in record.open_orders if order.filled_quantity for fill in ledger.trail(order.id).fills}


def forbids(record: PortfolioRecord, order: Order) -> bool:
    """Whether the portfolio's state forbids an order: any when HALTED; when REDUCING all but those toward zero.

    One through zero is forbidden as well: it opens a position on the other side. What has filled is part of the
    position already; what is left of the order is judged.
    """
    if record.state is not TradingState.REDUCING:
        return record.state is TradingState.HALTED
    position = record.positions.get(order.symbol)
    held = position.quantity if position else Decimal(0)
    left = order.quantity - order.filled_quantity
    return held * order.side.sign >= 0 or left > abs(held)


def over(record: PortfolioRecord, *, scheduled: bool) -> list[Order]:
    """Open orders whose time is over once their session is settled.

    An order is for one open. Where the schedule decides anew, that ends every order. Where it does not, the remainder
    of a PARTIALLY_FILLED one is carried over to the next open, unless the portfolio's state forbids it: nothing has
    replaced the decision it belongs to.
    """
    carried = [o for o in record.open_orders if o.status is OrderStatus.PARTIALLY_FILLED and not forbids(record, o)]
    return [o for o in record.open_orders if scheduled or o not in carried]


def with_new_status(record: PortfolioRecord, orders: Sequence[Order]) -> list[Order]:
    """Those of `orders` whose status is not the one that `record` has: what has just happened to them."""
    before = {order.id: order.status for order in record.open_orders}
    return [order for order in orders if before.get(order.id) is not order.status]
