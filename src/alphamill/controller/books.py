"""What a portfolio's record says about its cash, positions and open orders. Asks the broker, changes nothing."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final

from alphamill.controller.market import Action
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, OrderStatus
from alphamill.execution import Account, reconcile
from alphamill.ports import Broker, Ledger

#: Sent or to be sent, and nobody knows yet whether the broker has it.
UNANSWERED: Final = (OrderStatus.PENDING, OrderStatus.IN_FLIGHT)


def after_actions(account: Account, actions: Sequence[Action], share_step: Decimal) -> Account:
    """The book after splits and dividends, before any fill of their session."""
    for a in actions:
        account = account.apply_action(a.symbol, a.price_factor, a.split_factor, a.previous_close, share_step)
    return account


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


def known_fills(record: PortfolioRecord, ledger: Ledger) -> set[str]:
    """Ids of the fills that the ledger has of open orders; a broker may tell them again."""
    return {fill.id for order in record.open_orders if order.filled_quantity for fill in ledger.explain(order.id).fills}


def forbids(record: PortfolioRecord, order: Order) -> bool:
    """Whether the portfolio's state forbids the order: any when HALTED, one that raises exposure when REDUCING."""
    if record.state is not TradingState.REDUCING:
        return record.state is TradingState.HALTED
    position = record.positions.get(order.symbol)
    held = position.quantity if position else Decimal(0)
    return abs(held + order.side.sign * order.quantity) > abs(held)
