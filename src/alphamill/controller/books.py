"""What a portfolio's record says about its cash, positions and open orders. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from alphamill.controller.market import Action
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order
from alphamill.execution import Account


def after_actions(record: PortfolioRecord, actions: Sequence[Action]) -> Account:
    """The book after splits and dividends, before any fill of their session."""
    account = Account(record.cash_usd, record.positions)
    for action in actions:
        account = account.apply_action(action.symbol, action.price_factor, action.split_factor, action.previous_close)
    return account


def in_doubt(record: PortfolioRecord) -> str:
    """Names the open orders whose fate is not known."""
    return f"orders in doubt: {', '.join(order.id for order in record.open_orders)}"


def forbids(record: PortfolioRecord, order: Order) -> bool:
    """Whether the portfolio's state forbids the order: any when HALTED, one that raises exposure when REDUCING."""
    if record.state is not TradingState.REDUCING:
        return record.state is TradingState.HALTED
    position = record.positions.get(order.symbol)
    held = position.quantity if position else Decimal(0)
    return abs(held + order.side.sign * order.quantity) > abs(held)
