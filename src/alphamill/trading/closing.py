"""What the close of a session does to a portfolio's books: fills, payouts, splits and dividends. Writes nothing."""

from dataclasses import dataclass
from decimal import Decimal

from alphamill.domain.ledger import CashEntry, PortfolioRecord
from alphamill.domain.orders import Fill, Order, Position
from alphamill.execution import Account
from alphamill.features.history import BarHistory
from alphamill.ports import Broker, LedgerView
from alphamill.trading import books
from alphamill.trading.delistings import Delistings
from alphamill.trading.market import Market


@dataclass(frozen=True, slots=True)
class Closing:
    """The book after a close, and what brought it there; `delisted` are positions that were paid out."""

    account: Account
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    entries: tuple[CashEntry, ...] = ()
    delisted: tuple[Position, ...] = ()


def closing(
    record: PortfolioRecord,
    market: Market,
    broker: Broker,
    ledger: LedgerView,
    delistings: Delistings,
    history: BarHistory,
) -> Closing:
    """What the broker did since it was asked last, payouts of delisted symbols, then the actions of the session."""
    step, at = _step(record), market.ts
    orders, early, fills = books.collected(record, broker, ledger, market.actions, step)
    account, paid = delistings.settle(books.book_of(record, early), history, at)
    entries = books.payouts_of(record.name, at, paid) + books.entries_of(record.name, at, account, market.actions, step)
    account = books.after_actions(account, market.actions, step, fills)
    return Closing(account, tuple(orders), (*early, *fills), tuple(entries), tuple(position for position, _ in paid))


def late_closing(record: PortfolioRecord, market: Market) -> Closing | None:
    """What bars that came after their session, the newest, was settled still do to it; None without any."""
    came = set(record.awaited) - market.missing
    if not came or record.last_settled_at != market.ts:
        return None
    step, before = _step(record), books.book_of(record)
    actions = [action for action in market.actions if action.symbol in came]
    entries = books.entries_of(record.name, market.ts, before, actions, step)
    account = books.after_actions(before, actions, step)
    return Closing(account, tuple(books.restated(record, actions, step)), entries=tuple(entries))


def _step(record: PortfolioRecord) -> Decimal:
    return record.spec.broker.share_step
