"""The paper broker's books: a fold over its events. Live and recovery run the same lines."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from alphamill.adapters.brokers.paper.events import (
    AccountOpened,
    CashSettlement,
    OrderRecorded,
    PaperEvent,
    SessionMatched,
)
from alphamill.domain.orders import Fill, Order
from alphamill.domain.venues import Events
from alphamill.errors import NotFound
from alphamill.execution import Account

#: What a cursor begins with; the number of log entries before it follows.
_CURSOR: Final = "evt_"


class PaperBooks:
    """Accounts, orders and fills of every portfolio, and the session matched last."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.log: dict[str, list[Fill | Order]] = {}
        self.closes: dict[str, float] = {}
        self.session: dt.datetime | None = None
        self._matched: list[Collection[str]] = []
        self._told: dict[str, int] = {}

    def apply(self, event: PaperEvent) -> None:
        """Take one event in. Events carry outcomes, so this cannot refuse."""
        if isinstance(event, AccountOpened):
            self.accounts[event.portfolio] = Account(event.cash_usd)
            self.log[event.portfolio] = []
        elif isinstance(event, OrderRecorded):
            self._put(event.order)
        else:
            self._session(event)

    def matched(self, ts: dt.datetime, symbol: str) -> bool:
        """Whether the bar of `symbol` at `ts`, or a session after it, went by."""
        if self.session is None or ts > self.session:
            return False
        return ts < self.session or any(symbol in symbols for symbols in self._matched)

    def pass_session(self, ts: dt.datetime, symbols: Collection[str]) -> None:
        """Remember whose bar of a session was seen; a late symbol's bar joins the same session."""
        if ts != self.session:
            self.session, self._matched = ts, []
        self._matched.append(symbols)

    def relevant(self) -> set[str]:
        """Symbols with an open order or a position."""
        symbols = {order.symbol for order in self.open.values()}
        for account in self.accounts.values():
            symbols.update(account.positions)
        return symbols

    def events_after(self, portfolio: str, cursor: str | None) -> Events:
        """What the log of a portfolio says after `cursor`: a number of its entries, or the id of a fill."""
        self.account(portfolio)
        log = self.log[portfolio]
        new = log[0 if cursor is None else self._place(cursor, len(log)) :]
        changed = {entry.id: entry for entry in new if isinstance(entry, Order)}
        fills = tuple(entry for entry in new if isinstance(entry, Fill))
        return Events(fills, tuple(changed.values()), (), f"{_CURSOR}{len(log)}" if log else None)

    def _place(self, cursor: str, size: int) -> int:
        # Ledgers of earlier versions hold the id of a fill.
        number = cursor.removeprefix(_CURSOR)
        place = int(number) if cursor != number and number.isdecimal() else self._told.get(cursor, size + 1)
        if place > size:
            raise NotFound(f"the broker has no event {cursor}.", field="cursor", remedy="Reconcile ledger and broker.")
        return place

    def account(self, portfolio: str) -> Account:
        if portfolio not in self.accounts:
            raise NotFound(
                f"the paper broker has no portfolio {portfolio}.", field="portfolio", remedy="Give it initial cash."
            )
        return self.accounts[portfolio]

    def _put(self, order: Order) -> None:
        self.orders[order.id] = order
        if order.portfolio in self.log:  # else it was rejected: no such portfolio
            self.log[order.portfolio].append(order)
        if order.status.is_final:
            self.open.pop(order.id, None)
        else:
            self.open[order.id] = order

    def _session(self, event: SessionMatched) -> None:
        self.accounts = paid_out(self.accounts, event.settlements)
        for action in event.actions:
            for name, account in self.accounts.items():
                self.accounts[name] = account.apply_action(
                    action.symbol,
                    action.price_factor,
                    action.split_factor,
                    action.previous_close,
                    action.share_step,
                )
        for fill in event.fills:
            portfolio = self.orders[fill.order_id].portfolio
            self.accounts[portfolio] = self.accounts[portfolio].apply(fill)
            self.log[portfolio].append(fill)
            self._told[fill.id] = len(self.log[portfolio])
        for order in event.orders:
            self._put(order)
        self.closes.update(event.closes)
        self.pass_session(event.ts, event.symbols)


def paid_out(accounts: Mapping[str, Account], settlements: Iterable[CashSettlement]) -> dict[str, Account]:
    """Every book after symbols stopped trading."""
    after = dict(accounts)
    for settled in settlements:
        for name, account in after.items():
            after[name] = account.settle_in_cash(settled.symbol, settled.cash_per_share_usd)
    return after
