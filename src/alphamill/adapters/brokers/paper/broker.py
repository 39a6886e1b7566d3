"""The paper broker: accepts orders and fills them at the next session's open, from real bars."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

import polars as pl
import structlog

from alphamill.adapters.brokers.paper.books import PaperBooks
from alphamill.adapters.brokers.paper.delisting import Delistings, delisted
from alphamill.adapters.brokers.paper.events import (
    AccountOpened,
    OrderRecorded,
    PaperEvent,
    PaperStore,
    SessionMatched,
)
from alphamill.adapters.brokers.paper.matching import Matching, SessionOpen, midnight_utc
from alphamill.domain.orders import Order, OrderStatus, Position, order_id
from alphamill.domain.portfolios import BrokerRef
from alphamill.domain.session_bars import SessionBars
from alphamill.domain.venues import Capabilities, Events, VenueAccount
from alphamill.errors import Conflict, NotFound, Unavailable
from alphamill.execution import CommissionModel, SlippageModel, costs_of

_log = structlog.get_logger(__name__)


class PaperBroker:
    """Implements `TradingVenue` and `BarListener`.

    An order decided at the close of bar t fills at the open of the first later session in which its
    symbol has a bar; never in a session that opened before the decision. Splits and dividends are
    handled before matching; sells fill before buys, then by symbol and time of decision. Without margin a buy is cut
    to the shares (steps of `share_step`) that cash pays for, and the rest is cancelled with the reason.

    With `max_participation_pct` at most that part of the bar's volume fills, per symbol and session, all orders of the
    symbol together. An order that is left over stays open, PARTIALLY_FILLED once something filled, and fills on at the
    next open of its symbol under that session's cap, until it is whole or cancelled. Every part is one fill at its own
    session's open, with commission (and its minimum) and slippage of its own. A split between two parts restates
    quantity and filled quantity in new shares.

    Parameters
    ----------
    broker_ref
        Costs, margin, the step of shares and the volume cap.
    initial_cash
        By portfolio. A portfolio that `store` already knows keeps its cash.
    store
        Where events are kept; None keeps them in memory, for backtests. Every answer is durable
        before it is given.
    commission, slippage
        Models that replace those of `broker_ref`.
    session_open
        When a session opens, for orders decided between two closes; see `midnight_utc`.
    delistings
        By symbol, when it stops trading. In the first session after that its open orders are cancelled, and
        positions are paid out without commission, before anything fills. Its later bars are ignored.
    """

    def __init__(
        self,
        broker_ref: BrokerRef,
        *,
        initial_cash: Mapping[str, Decimal],
        store: PaperStore | None = None,
        commission: CommissionModel | None = None,
        slippage: SlippageModel | None = None,
        session_open: SessionOpen = midnight_utc,
        delistings: Delistings | None = None,
    ) -> None:
        costs = costs_of(broker_ref)
        self._matching = Matching(
            commission or costs[0],
            slippage or costs[1],
            broker_ref.margin,
            broker_ref.share_step,
            broker_ref.max_participation_pct,
            session_open,
            delistings or {},
        )
        self._store = store
        self._lock = threading.Lock()
        self._read_again = False
        self._books = self._replayed()
        new = set(initial_cash) - set(self._books.accounts)
        self._commit([AccountOpened(name, initial_cash[name]) for name in sorted(new)])

    def submit(self, order: Order) -> Order:
        """Accept an order. The same id again is answered with what became of it.

        Raises
        ------
        Conflict
            The id is not that of the order's content.
        """
        with self._certain():
            known = self._books.orders.get(order.id)
            _require_own_id(order)
            if known:
                return known
            answer = self._judge(order)
            self._commit([OrderRecorded(answer)])
            return answer

    def order(self, order_id: str) -> Order | None:
        with self._certain():
            return self._books.orders.get(order_id)

    def cancel(self, order_id: str) -> Order:
        """Cancel what is open; a final order is answered as it is."""
        with self._certain():
            order = self._books.orders.get(order_id)
            if order is None:
                raise NotFound(f"the paper broker has no order {order_id}.", field="order_id")
            if not order.status.is_final:
                order = order.with_status(OrderStatus.CANCELLED, "cancelled on request")
                self._commit([OrderRecorded(order)])
            return order

    def events(self, portfolio: str, cursor: str | None = None) -> Events:
        """Fills in the order they happened, and orders whose state changed; this broker takes no fill back."""
        with self._certain():
            return self._books.events_after(portfolio, cursor)

    def account(self, portfolio: str) -> VenueAccount:
        """Cash and positions; on margin no limit is put on what a buy may cost."""
        with self._certain():
            account = self._books.account(portfolio)
        power = None if self._matching.margin else max(account.cash_usd, Decimal(0))
        return VenueAccount(account.cash_usd, power, account.positions)

    def capabilities(self) -> Capabilities:
        """Market orders at the next open, answered at once."""
        step = self._matching.share_step
        return Capabilities("paper", fractional=step < 1, share_step=step)

    def on_bars(self, bars: SessionBars | pl.DataFrame) -> None:
        """Let one session go by. Bars already seen, or older than the newest session, change nothing that was filled.

        A corrected close of the newest session counts for what follows: a dividend, a split, a payout. A frame is one
        of `BAR_SCHEMA`; without rows it changes nothing.
        """
        if isinstance(bars, pl.DataFrame):
            if bars.is_empty():
                return
            bars = _session_of(bars)
        with self._certain():
            ts = bars.ts
            if self._books.session is not None and ts <= self._books.session:
                self._take_corrections(bars)
                bars = bars.only([symbol for symbol in bars.symbols if not self._books.matched(ts, symbol)])
                if not bars.symbols:
                    _log.debug("a session was matched before", session=str(ts))
                    return
            relevant = self._books.relevant()
            gone = delisted(self._matching.delistings, bars.session) & relevant
            traded = relevant & bars.places.keys() - gone
            if traded or gone:
                self._commit([self._matching.match(self._books, bars, traded)])
            elif self._store:
                self._commit([SessionMatched(ts, bars.symbols)])
            else:
                self._books.pass_session(ts, bars.symbols)

    def _take_corrections(self, bars: SessionBars) -> None:
        """The ledger reads the close before an action from corrected history; the books must name the same."""
        if bars.ts != self._books.session:
            return
        known = {s: close for s, close in self._books.closes.items() if self._books.matched(bars.ts, s)}
        told = zip(bars.symbols, bars.column("close").tolist(), strict=True)
        changed = tuple((s, close) for s, close in told if s in known and close != known[s])
        if changed:
            self._commit([SessionMatched(bars.ts, (), closes=changed)])

    def _judge(self, order: Order) -> Order:
        if order.portfolio not in self._books.accounts:
            return order.with_status(OrderStatus.REJECTED, f"the paper broker has no portfolio {order.portfolio}")
        if not order.quantity.is_finite() or order.quantity <= 0:
            return order.with_status(OrderStatus.REJECTED, f"quantity {order.quantity} is not above zero")
        step = self._matching.share_step
        if _off_step(order, self._books.accounts[order.portfolio].positions.get(order.symbol), step):
            return order.with_status(OrderStatus.REJECTED, f"quantity {order.quantity:f} is no multiple of {step:f}")
        return order.with_status(OrderStatus.ACCEPTED)

    @contextmanager
    def _certain(self) -> Iterator[None]:
        """One caller at a time, over books that are those of the log."""
        with self._lock:
            if self._read_again:
                self._books = self._replayed()
                self._read_again = False
            yield

    def _replayed(self) -> PaperBooks:
        books = PaperBooks()
        for event in self._store.read() if self._store else ():
            books.apply(event)
        return books

    def _commit(self, events: list[PaperEvent]) -> None:
        """Durable first, then in memory: an answer is never given for what a crash could undo."""
        if self._store and events:
            try:
                self._store.append(events)
            except (Unavailable, Conflict):
                # Written or not, by us or by somebody else: only the log knows. Books that missed it would err.
                self._read_again = True
                raise
        for event in events:
            self._books.apply(event)


def _session_of(bars: pl.DataFrame) -> SessionBars:
    if bars["ts"].n_unique() != 1:
        raise Conflict("on_bars takes the bars of one session.", field="ts", remedy="Split the frame by ts.")
    return SessionBars.of(bars)


def _require_own_id(order: Order) -> None:
    own = order_id(order.portfolio, order.decided_at, order.symbol, order.side, order.quantity)
    if own != order.id:
        raise Conflict(
            f"order id {order.id} is not that of its content ({own}).",
            field="id",
            remedy="Compute it with domain.orders.order_id.",
        )


def _off_step(order: Order, position: Position | None, step: Decimal) -> bool:
    """Neither the order nor the position it leaves is a multiple of the step."""
    held = position.quantity if position else Decimal(0)
    return bool(order.quantity % step and (held + order.side.sign * order.quantity) % step)
