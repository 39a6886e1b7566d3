"""A broker for tests: fills at the next open without costs, and has a real venue's manners when told to."""

import datetime as dt
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

import polars as pl

from alphamill.domain.orders import Fill, Order, OrderStatus, Position, order_id
from alphamill.domain.session_bars import SessionBars
from alphamill.domain.venues import Capabilities, Events, VenueAccount
from alphamill.errors import BrokerUnavailable, Conflict, NotFound
from alphamill.execution import Account
from alphamill.ports import Broker, TradingVenue

PAPER = Capabilities("paper", fractional=True, share_step=Decimal("0.000001"))

_NOTHING = Decimal(0)


class Answer(StrEnum):
    """How one `submit` goes."""

    ACCEPT = "accept"
    REJECT = "reject"
    #: The order never arrives, and the caller gets no clear answer.
    LOST_ORDER = "lost_order"
    #: The order arrives, and the answer is lost.
    LOST_ACK = "lost_ack"
    #: The gateway has it; the exchange accepts it in the next session, or when `acknowledge` says so.
    LATER = "later"
    #: Accepted, and rejected in the next session before anything filled, or when `reject` says so.
    REJECT_LATER = "reject_later"


class FakeBroker(TradingVenue):
    """Keeps everything in memory; every order of a session's symbol fills at its open, whole unless a cap is given.

    Parameters
    ----------
    script
        How the next submits go, in order; ACCEPT when it runs out.
    cash_usd
        Of every portfolio, at the beginning.
    capabilities
        What the venue says of itself.
    duplicate_fills
        `events` tells each fill twice, and repeats the one it was asked to start after.
    disorder
        With a seed, `events` tells what happened in another order each time.
    slow_cancels
        A cancel is taken note of, and done after the next session has filled what it can.
    max_participation_pct
        At most this part of the bar's volume fills, per symbol and session, in whole shares; the rest stays open.
    before_answer
        Called with each order before it is answered, by the thread that sends it: it may take its time.
    down
        While true every call raises `BrokerUnavailable`; set it at any time.

    Attributes
    ----------
    halted
        Symbols whose trading is halted: a new order is rejected, an open one stays and does not fill.
    """

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        cash_usd: Decimal = _NOTHING,
        capabilities: Capabilities = PAPER,
        duplicate_fills: bool = False,
        disorder: int | None = None,
        slow_cancels: bool = False,
        max_participation_pct: float | None = None,
        before_answer: Callable[[Order], None] = lambda order: None,
        down: bool = False,
    ) -> None:
        self.script = deque(script)
        self.duplicate_fills = duplicate_fills
        self.slow_cancels = slow_cancels
        self.max_participation_pct = max_participation_pct
        self.before_answer = before_answer
        self.down = down
        self.halted: set[str] = set()
        self._cash_usd, self._capabilities = cash_usd, capabilities
        self._shuffle = None if disorder is None else random.Random(disorder).shuffle
        self._orders: dict[str, Order] = {}
        self._log: list[Fill | Order | str] = []
        self._to_reject: set[str] = set()
        self._to_cancel: set[str] = set()
        self._session: dt.date | None = None

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def submit(self, order: Order) -> Order:
        self._require_up()
        own_id = order_id(order.portfolio, order.decided_at, order.symbol, order.side, order.quantity)
        if own_id != order.id:
            raise Conflict(f"order id {order.id} is not that of its content.", field="id")
        answer = self.script.popleft() if self.script else Answer.ACCEPT
        self.before_answer(order)
        if answer is Answer.LOST_ORDER:
            raise BrokerUnavailable(f"no answer about {order.id}.")
        if order.id not in self._orders:
            self._take(order, answer)
        if answer is Answer.LOST_ACK:
            raise BrokerUnavailable(f"no answer about {order.id}.")
        return self._orders[order.id]

    def order(self, order_id: str) -> Order | None:
        self._require_up()
        return self._orders.get(order_id)

    def cancel(self, order_id: str) -> Order:
        self._require_up()
        if order_id not in self._orders:
            raise NotFound(f"no order {order_id}.", field="order_id")
        order = self._orders[order_id]
        if order.status.is_final:
            return order
        if self.slow_cancels:
            self._to_cancel.add(order_id)
            return self._put(order.after(detail="cancel requested"))
        return self._put(order.with_status(OrderStatus.CANCELLED, "cancelled on request"))

    def events(self, portfolio: str, cursor: str | None = None) -> Events:
        self._require_up()
        log = [entry for entry in self._log if self._portfolio_of(entry) == portfolio]
        start = 0 if cursor is None else self._place(cursor, log)
        new = log[max(start - 1, 0) if self.duplicate_fills else start :]
        fills = [entry for entry in new if isinstance(entry, Fill) for _ in range(1 + self.duplicate_fills)]
        orders = {entry.id: entry for entry in new if isinstance(entry, Order)}
        busts = [entry for entry in new if isinstance(entry, str)]
        changed = list(orders.values())
        if self._shuffle is not None:
            self._shuffle(fills)
            self._shuffle(changed)
        return Events(tuple(fills), tuple(changed), tuple(busts), f"after-{len(log)}" if log else None)

    def account(self, portfolio: str) -> VenueAccount:
        self._require_up()
        account = Account(self._cash_usd)
        busted = {entry for entry in self._log if isinstance(entry, str)}
        for entry in self._log:
            if isinstance(entry, Fill) and entry.id not in busted and self._portfolio_of(entry) == portfolio:
                account = account.apply(entry)
        return VenueAccount(account.cash_usd, None, account.positions)

    def on_bars(self, bars: SessionBars | pl.DataFrame) -> None:
        """Fill open orders decided before this session, sells first; a session seen before changes nothing."""
        bars = SessionBars.of(bars)
        session = bars.session
        if self._session is not None and session <= self._session:
            return
        self._session = session
        self._exchange_answers()
        opens = dict(zip(bars.symbols, bars.column("open").tolist(), strict=True))
        at = dt.datetime.combine(session, dt.time(), dt.UTC)
        trading = opens.keys() - self.halted
        due = [o for o in self._orders.values() if not o.status.is_final and o.symbol in trading and o.decided_at <= at]
        volumes = dict(zip(bars.symbols, bars.column("volume").tolist(), strict=True))
        filled = dict.fromkeys(volumes, _NOTHING)
        for order in sorted(due, key=lambda o: (o.side.sign, o.symbol)):
            tradable = order.quantity - order.filled_quantity
            if self.max_participation_pct is not None:
                cap = Decimal(str(volumes[order.symbol])) * Decimal(str(self.max_participation_pct)) // 100
                tradable = min(tradable, cap - filled[order.symbol])
            if tradable:
                self.fill(order.id, Decimal(str(opens[order.symbol])), at, tradable)
                filled[order.symbol] += tradable
        for id_ in self._to_cancel:
            if not self._orders[id_].status.is_final:
                self._put(self._orders[id_].with_status(OrderStatus.CANCELLED, "cancelled on request"))
        self._to_cancel.clear()

    def fill(self, order_id: str, price: Decimal, at: dt.datetime, quantity: Decimal | None = None) -> Fill:
        """Fill an order, or `quantity` of it, by hand; also one that was cancelled: the exchange had filled it."""
        order = self._orders[order_id]
        amount = quantity or order.quantity - order.filled_quantity
        filled = order.filled_quantity + amount
        status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIALLY_FILLED
        fill = Fill(
            id=f"fill_{order_id}_{at:%Y%m%d}_{len(self._log) + 1}",
            order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=amount,
            price=price,
            commission_usd=_NOTHING,
            filled_at=at,
        )
        self._log.append(fill)
        self._put(replace(order, status=order.status if order.status.is_final else status, filled_quantity=filled))
        return fill

    def bust(self, fill: Fill) -> None:
        """Take a fill back: the exchange says that the trade does not count."""
        order = self._orders[fill.order_id]
        self._log.append(fill.id)
        self._put(order.after(filled_quantity=order.filled_quantity - fill.quantity, detail=f"{fill.id} was busted"))

    def acknowledge(self, order_id: str) -> Order:
        """The exchange accepts an order that only the gateway had."""
        return self._put(self._orders[order_id].with_status(OrderStatus.ACCEPTED))

    def reject(self, order_id: str) -> Order:
        """The exchange refuses an order that was accepted before."""
        return self._put(self._orders[order_id].with_status(OrderStatus.REJECTED, "rejected by the exchange"))

    def _take(self, order: Order, answer: Answer) -> None:
        if order.symbol in self.halted:
            self._put(order.with_status(OrderStatus.REJECTED, f"{order.symbol} is halted"))
        elif answer is Answer.REJECT:
            self._put(order.with_status(OrderStatus.REJECTED, "scripted"))
        else:
            self._put(order.with_status(OrderStatus.PENDING if answer is Answer.LATER else OrderStatus.ACCEPTED))
            if answer is Answer.REJECT_LATER:
                self._to_reject.add(order.id)

    def _exchange_answers(self) -> None:
        for order in list(self._orders.values()):
            if order.id in self._to_reject and not order.status.is_final:
                self.reject(order.id)
            elif order.status is OrderStatus.PENDING:
                self.acknowledge(order.id)
        self._to_reject.clear()

    def _put(self, order: Order) -> Order:
        self._orders[order.id] = order
        self._log.append(order)
        return order

    def _portfolio_of(self, entry: Fill | Order | str) -> str:
        if isinstance(entry, Order):
            return entry.portfolio
        fill = entry if isinstance(entry, Fill) else self._fill(entry)
        return self._orders[fill.order_id].portfolio

    def _fill(self, id_: str) -> Fill:
        return next(entry for entry in self._log if isinstance(entry, Fill) and entry.id == id_)

    def _place(self, cursor: str, log: list[Fill | Order | str]) -> int:
        places = {entry.id: n for n, entry in enumerate(log, start=1) if isinstance(entry, Fill)}
        number = cursor.removeprefix("after-")
        place = int(number) if number != cursor and number.isdecimal() else places.get(cursor, len(log) + 1)
        if place > len(log):
            raise NotFound(f"no event {cursor}.", field="cursor", remedy="Reconcile ledger and broker.")
        return place

    def _require_up(self) -> None:
        if self.down:
            raise BrokerUnavailable("the broker does not answer.", remedy="Ask again later.")


def fills_at(broker: Broker, portfolio: str = "demo", *, cursor: str | None = None) -> list[Fill]:
    """What a broker tells of fills."""
    return list(broker.events(portfolio, cursor).fills)


def positions_at(broker: Broker, portfolio: str = "demo") -> list[Position]:
    """What a broker holds, by symbol."""
    return sorted(broker.account(portfolio).positions.values(), key=lambda position: position.symbol)


def cash_at(broker: Broker, portfolio: str = "demo") -> Decimal:
    """What cash a broker sees, in USD."""
    return broker.account(portfolio).cash_usd
