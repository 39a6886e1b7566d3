"""What the paper broker does once a symbol stopped trading: it cancels its orders and pays its positions out."""

import datetime as dt
from collections.abc import Iterator, Mapping

from alphamill.adapters.brokers.paper.books import PaperBooks
from alphamill.adapters.brokers.paper.events import CashSettlement
from alphamill.domain.money import to_decimal
from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.portfolios import Delisting

#: By symbol.
Delistings = Mapping[str, Delisting]


def delisted(delistings: Delistings, session: dt.date) -> set[str]:
    """Symbols that no longer trade in `session`."""
    return {symbol for symbol, delisting in delistings.items() if session > delisting.last_session}


def settlements(books: PaperBooks, delistings: Delistings, gone: set[str]) -> Iterator[CashSettlement]:
    """What each share held of a symbol that is gone pays: the declared cash, or the last close that was matched."""
    held = {symbol for account in books.accounts.values() for symbol in account.positions}
    for symbol in sorted(gone & held):
        cash = delistings[symbol].cash_per_share_usd
        yield CashSettlement(symbol, to_decimal(books.closes[symbol]) if cash is None else cash)


def cancelled(books: PaperBooks, delistings: Delistings, gone: set[str]) -> Iterator[Order]:
    """Open orders of symbols that are gone; what filled of them stays."""
    for order in books.open.values():
        if order.symbol in gone:
            why = f"{order.symbol} is delisted: its last session was {delistings[order.symbol].last_session}"
            yield order.with_status(OrderStatus.CANCELLED, why)
