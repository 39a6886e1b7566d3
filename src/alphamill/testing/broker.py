"""A broker for tests: fills at the next open without costs, and misbehaves when told to."""

import datetime as dt
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

import polars as pl

from alphamill.domain.orders import Fill, Order, OrderStatus, Position, order_id
from alphamill.domain.session_bars import SessionBars
from alphamill.errors import BrokerUnavailable, Conflict, NotFound
from alphamill.execution import Account
from alphamill.ports import Broker


class Answer(StrEnum):
    """How one `submit` goes."""

    ACCEPT = "accept"
    REJECT = "reject"
    #: The order never arrives, and the caller gets no clear answer.
    LOST_ORDER = "lost_order"
    #: The order arrives, and the answer is lost.
    LOST_ACK = "lost_ack"


class FakeBroker(Broker):
    """Keeps everything in memory; every order of a session's symbol fills at its open, whole unless a cap is given.

    Parameters
    ----------
    script
        How the next submits go, in order; ACCEPT when it runs out.
    duplicate_fills
        `fills` tells each fill twice, and repeats the one it was asked to start after.
    max_participation_pct
        At most this part of the bar's volume fills, per symbol and session, in whole shares; the rest stays open.
    down
        While true every call raises `BrokerUnavailable`; set it at any time.
    """

    def __init__(
        self,
        script: Iterable[Answer] = (),
        *,
        duplicate_fills: bool = False,
        max_participation_pct: float | None = None,
        down: bool = False,
    ) -> None:
        self.script = deque(script)
        self.duplicate_fills = duplicate_fills
        self.max_participation_pct = max_participation_pct
        self.down = down
        self._orders: dict[str, Order] = {}
        self._fills: list[Fill] = []
        self._session: dt.date | None = None

    def submit(self, order: Order) -> Order:
        self._require_up()
        own_id = order_id(order.portfolio, order.decided_at, order.symbol, order.side, order.quantity)
        if own_id != order.id:
            raise Conflict(f"order id {order.id} is not that of its content.", field="id")
        answer = self.script.popleft() if self.script else Answer.ACCEPT
        if answer is Answer.LOST_ORDER:
            raise BrokerUnavailable(f"no answer about {order.id}.")
        status = OrderStatus.REJECTED if answer is Answer.REJECT else OrderStatus.ACCEPTED
        known = self._orders.setdefault(order.id, order.with_status(status, "scripted" if status.is_final else ""))
        if answer is Answer.LOST_ACK:
            raise BrokerUnavailable(f"no answer about {order.id}.")
        return known

    def order(self, order_id: str) -> Order | None:
        self._require_up()
        return self._orders.get(order_id)

    def cancel(self, order_id: str) -> Order:
        self._require_up()
        if order_id not in self._orders:
            raise NotFound(f"no order {order_id}.", field="order_id")
        if not self._orders[order_id].status.is_final:
            self._orders[order_id] = self._orders[order_id].with_status(OrderStatus.CANCELLED, "cancelled on request")
        return self._orders[order_id]

    def fills(self, portfolio: str, *, after: str | None = None) -> list[Fill]:
        self._require_up()
        own = [fill for fill in self._fills if self._orders[fill.order_id].portfolio == portfolio]
        ids = [fill.id for fill in own]
        if after is not None and after not in ids:
            raise NotFound(f"no fill {after}.", field="after")
        start = 0 if after is None else ids.index(after) + 1
        if self.duplicate_fills:
            return [fill for fill in own[max(start - 1, 0) :] for _ in range(2)]
        return own[start:]

    def positions(self, portfolio: str) -> list[Position]:
        self._require_up()
        account = Account(Decimal(0))
        for fill in self._fills:
            if self._orders[fill.order_id].portfolio == portfolio:
                account = account.apply(fill)
        return [account.positions[symbol] for symbol in sorted(account.positions)]

    def on_bars(self, bars: SessionBars | pl.DataFrame) -> None:
        """Fill open orders decided before this session, sells first; a session seen before changes nothing."""
        bars = SessionBars.of(bars)
        session = bars.session
        if self._session is not None and session <= self._session:
            return
        self._session = session
        opens = dict(zip(bars.symbols, bars.column("open").tolist(), strict=True))
        at = dt.datetime.combine(session, dt.time(), dt.UTC)
        due = [o for o in self._orders.values() if not o.status.is_final and o.symbol in opens and o.decided_at <= at]
        volumes = dict(zip(bars.symbols, bars.column("volume").tolist(), strict=True))
        filled = dict.fromkeys(volumes, Decimal(0))
        for order in sorted(due, key=lambda o: (o.side.sign, o.symbol)):
            tradable = order.quantity - order.filled_quantity
            if self.max_participation_pct is not None:
                cap = Decimal(str(volumes[order.symbol])) * Decimal(str(self.max_participation_pct)) // 100
                tradable = min(tradable, cap - filled[order.symbol])
            if tradable:
                self.fill(order.id, Decimal(str(opens[order.symbol])), at, tradable)
                filled[order.symbol] += tradable

    def fill(self, order_id: str, price: Decimal, at: dt.datetime, quantity: Decimal | None = None) -> Fill:
        """Fill an open order, or `quantity` of it, by hand."""
        order = self._orders[order_id]
        amount = quantity or order.quantity - order.filled_quantity
        filled = order.filled_quantity + amount
        status = OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIALLY_FILLED
        fill = Fill(
            id=f"fill_{order_id}_{at:%Y%m%d}_{len(self._fills) + 1}",
            order_id=order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=amount,
            price=price,
            commission_usd=Decimal(0),
            filled_at=at,
        )
        self._fills.append(fill)
        self._orders[order_id] = replace(order, status=status, filled_quantity=filled)
        return fill

    def _require_up(self) -> None:
        if self.down:
            raise BrokerUnavailable("the broker does not answer.", remedy="Ask again later.")
