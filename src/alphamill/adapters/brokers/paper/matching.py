"""Matching at the open: which open orders fill, how much of them, at what price."""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import numpy as np

from alphamill.adapters.brokers.paper.books import PaperBooks, paid_out
from alphamill.adapters.brokers.paper.delisting import Delistings, cancelled, delisted, settlements
from alphamill.adapters.brokers.paper.events import CorporateAction, SessionMatched
from alphamill.domain.bars import BAR_VALUES
from alphamill.domain.costs import CommissionModel, SlippageModel
from alphamill.domain.money import round_shares, to_decimal
from alphamill.domain.orders import Fill, Order, OrderStatus, Side
from alphamill.domain.session_bars import SessionBars
from alphamill.errors import DataUnfit
from alphamill.execution import Account
from alphamill.execution.corporate_actions import split_order

SessionOpen = Callable[[dt.date], dt.datetime]

#: What matching reads of a bar.
_NAMES: Final = ("open", "close", "price_factor", "split_factor")
_NEEDED: Final = [BAR_VALUES.index(name) for name in _NAMES]


def midnight_utc(session: dt.date) -> dt.datetime:
    """A lower bound of a session's open that needs no calendar: after the close before, before its own open.

    True for exchanges that open and close within one UTC date. An order decided later than this fills
    one session later than it might have, never one earlier.
    """
    return dt.datetime.combine(session, dt.time(), dt.UTC)


@dataclass(frozen=True, slots=True)
class Matching:
    """The rules of execution: costs, margin, the step of shares, the volume cap, and when a session opens."""

    commission: CommissionModel
    slippage: SlippageModel
    margin: bool
    share_step: Decimal = Decimal(1)
    max_participation_pct: float | None = None
    session_open: SessionOpen = midnight_utc
    delistings: Delistings = field(default_factory=dict)

    def match(self, books: PaperBooks, bars: SessionBars, symbols: set[str]) -> SessionMatched:
        """What this session does to `symbols`: actions, order states, fills, closes. Changes no books.

        Symbols that are delisted by then are paid out and their orders cancelled; `symbols` holds none of them.

        Raises
        ------
        DataUnfit
            A needed number of a bar is missing, not finite or not above zero (a volume: under zero).
        """
        rows, day = _rows(bars, symbols), bars.session
        gone = delisted(self.delistings, day)
        paid = tuple(settlements(books, self.delistings, gone))
        accounts = paid_out(books.accounts, paid)
        actions = tuple(_actions(books.closes, rows, _held(accounts), self.share_step))
        for a in actions:
            for name, account in accounts.items():
                accounts[name] = account.apply_action(
                    a.symbol, a.price_factor, a.split_factor, a.previous_close, a.share_step
                )
        opens_at = self.session_open(day) if books.open else bars.ts
        due = [o for o in books.open.values() if o.symbol in rows and o.decided_at <= opens_at]
        orders = {o.id: split_order(o, rows[o.symbol]["split_factor"], self.share_step) for o in due}
        volume_left = self._volume_caps(bars, {order.symbol for order in due})
        fills = []
        for order in sorted(orders.values(), key=_priority):
            if order.status.is_final:
                continue
            split = order.detail if order is not books.open[order.id] else ""
            cap, account = volume_left.get(order.symbol), accounts[order.portfolio]
            price = self.slippage.fill_price(order.side, to_decimal(rows[order.symbol]["open"]))
            after, quantity = self._matched(order, account, price, cap)
            said = "; ".join(filter(None, (split, after.detail)))
            orders[order.id] = after if said == after.detail else after.after(detail=said)
            if not quantity:
                continue
            fills.append(self._fill_of(order, quantity, price, day, opens_at))
            accounts[order.portfolio] = account.apply(fills[-1])
            if cap is not None:
                volume_left[order.symbol] = cap - quantity
        held = _held(accounts)
        ended = tuple(cancelled(books, self.delistings, gone))
        changed = tuple(order for order in orders.values() if order != books.open[order.id])
        closes = tuple((symbol, row["close"]) for symbol, row in rows.items() if symbol in held)
        return SessionMatched(bars.ts, bars.symbols, actions, (*ended, *changed), tuple(fills), closes, paid)

    def _volume_caps(self, bars: SessionBars, symbols: set[str]) -> dict[str, Decimal]:
        """Shares of each symbol that may fill in this session, all orders together; empty without a cap."""
        if self.max_participation_pct is None:
            return {}
        part = to_decimal(self.max_participation_pct) / 100
        volumes = {symbol: bars.column("volume").item(bars.places[symbol]) for symbol in symbols}
        return {s: round_shares(_volume(v, s) * part, self.share_step) for s, v in volumes.items()}

    def _matched(self, order: Order, account: Account, price: Decimal, cap: Decimal | None) -> tuple[Order, Decimal]:
        """The order after this open, and how much of it fills at `price`."""
        left = order.quantity - order.filled_quantity
        tradable = left if cap is None else min(left, cap)
        quantity = tradable
        if order.side is Side.BUY and not self.margin:
            quantity = self._affordable(tradable, price, account.cash_usd)
        filled = order.filled_quantity + quantity
        said = f"{filled:f} of {order.quantity:f} filled: "
        if quantity < tradable:
            status = OrderStatus.CANCELLED
            said += f"cash {account.cash_usd:.2f} USD does not reach for more at {price:f} without margin"
        elif filled < order.quantity:
            status = OrderStatus.PARTIALLY_FILLED if filled else order.status
            said += f"{cap or 0:f} could trade under the volume cap, the rest waits for the next open"
        else:
            status, said = OrderStatus.FILLED, ""
        return order.after(status=status, filled_quantity=filled, detail=said), quantity

    def _fill_of(self, order: Order, quantity: Decimal, price: Decimal, session: dt.date, at: dt.datetime) -> Fill:
        """One fill a session and order, so the session makes its id unique."""
        return Fill(
            id=f"fill_{order.id.removeprefix('ord_')}_{session:%Y%m%d}_1",
            order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            commission_usd=self.commission.commission_usd(quantity, price),
            filled_at=at,
        )

    def _affordable(self, wanted: Decimal, price: Decimal, cash_usd: Decimal) -> Decimal:
        """All of `wanted`, or the most steps of a share that `cash_usd` pays for with commission."""

        def cost(quantity: Decimal) -> Decimal:
            return quantity * price + self.commission.commission_usd(quantity, price)

        if cost(wanted) <= cash_usd:
            return wanted
        low, high = 0, int(wanted // self.share_step)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cost(middle * self.share_step) <= cash_usd else (low, middle - 1)
        return low * self.share_step


def _priority(order: Order) -> tuple[bool, str, dt.datetime, str]:
    """Sells first: their cash pays for the buys."""
    return order.side is Side.BUY, order.symbol, order.decided_at, order.id


def _rows(bars: SessionBars, symbols: set[str]) -> dict[str, dict[str, float]]:
    """Checked numbers of the symbols that matter, by symbol."""
    at = sorted(bars.places[symbol] for symbol in symbols)
    numbers = bars.values[:, at][_NEEDED]
    sound = (numbers > 0) & (numbers < np.inf)
    if not sound.all():
        column, i = np.argwhere(~sound)[0]
        symbol, name = bars.symbols[at[i]], _NAMES[column]
        raise DataUnfit(
            f"{symbol} has {name} {numbers[column, i]}.", field=name, remedy="Validate the bars before trading on them."
        )
    return {bars.symbols[i]: dict(zip(_NAMES, row, strict=True)) for i, row in zip(at, numbers.T.tolist(), strict=True)}


def _volume(value: float | None, symbol: str) -> Decimal:
    if value is None or not math.isfinite(value) or value < 0:
        raise DataUnfit(f"{symbol} has volume {value}.", field="volume", remedy="Validate the bars before trading.")
    return to_decimal(value)


def _held(accounts: Mapping[str, Account]) -> set[str]:
    return {symbol for account in accounts.values() for symbol in account.positions}


def _actions(
    closes: Mapping[str, float], rows: Mapping[str, Mapping[str, float]], held: set[str], share_step: Decimal
) -> Iterable[CorporateAction]:
    for symbol, row in rows.items():
        factors = row["price_factor"], row["split_factor"]
        if symbol in held and factors != (1.0, 1.0):
            yield CorporateAction(symbol, *factors, to_decimal(closes[symbol]), share_step)
