"""Does the broker agree with the ledger? The question before every order."""

from decimal import Decimal

from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.money import round_cash
from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.venues import VenueAccount
from alphamill.ports import Broker

_MAY_BE_UNKNOWN = (OrderStatus.PENDING, OrderStatus.IN_FLIGHT)


def reconcile(record: PortfolioRecord, broker: Broker) -> list[str]:
    """Differences between ledger and broker in words; empty when they agree.

    Positions must have the same quantity, and cash must be the same to the step of money: a difference names the
    amount, and nobody but a person decides whose it is. Of open orders the broker must know those it accepted, and
    must have filled no more than the ledger has seen. Run it after `collect` was settled.
    """
    account = broker.account(record.name)
    differences = [*_positions(record, account), *_cash(record, account)]
    for order in record.open_orders:
        difference = _order(order, broker.order(order.id))
        if difference:
            differences.append(difference)
    return differences


def _positions(record: PortfolioRecord, account: VenueAccount) -> list[str]:
    ours = {symbol: position.quantity for symbol, position in record.positions.items()}
    theirs = {symbol: position.quantity for symbol, position in account.positions.items()}
    zero = Decimal(0)
    return [
        f"{symbol}: the ledger holds {ours.get(symbol, zero):f}, the broker {theirs.get(symbol, zero):f}"
        for symbol in sorted(ours.keys() | theirs.keys())
        if ours.get(symbol, zero) != theirs.get(symbol, zero)
    ]


def _cash(record: PortfolioRecord, account: VenueAccount) -> list[str]:
    ours, theirs = round_cash(record.cash_usd), round_cash(account.cash_usd)
    if ours == theirs:
        return []
    return [f"cash: the ledger has {ours:f} USD, the broker {theirs:f}: {theirs - ours:+f}"]


def _order(order: Order, answer: Order | None) -> str | None:
    name = f"order {order.id} ({order.side.value} {order.quantity:f} {order.symbol})"
    if answer is None:
        known = order.status not in _MAY_BE_UNKNOWN
        return f"{name}: the ledger says {order.status.value}, the broker does not know it" if known else None
    if answer.filled_quantity != order.filled_quantity:
        return (
            f"{name}: the ledger has {order.filled_quantity:f} filled, the broker {answer.filled_quantity:f}: "
            "collect its fills first"
        )
    return None
