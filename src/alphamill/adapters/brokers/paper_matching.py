"""Matching at the open: which open orders fill, at what price, and what a cash account can afford."""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal

import polars as pl

from alphamill.adapters.brokers.paper_books import PaperBooks
from alphamill.adapters.brokers.paper_events import CorporateAction, SessionMatched
from alphamill.domain.orders import Fill, Order, OrderStatus, Side
from alphamill.errors import DataUnfit
from alphamill.execution import Account, CommissionModel, SlippageModel
from alphamill.execution.corporate_actions import share_ratio, split_quantity

SessionOpen = Callable[[dt.date], dt.datetime]


def midnight_utc(session: dt.date) -> dt.datetime:
    """A lower bound of a session's open that needs no calendar: after the close before, before its own open.

    True for exchanges that open and close within one UTC date. An order decided later than this fills
    one session later than it might have, never one earlier.
    """
    return dt.datetime.combine(session, dt.time(), dt.UTC)


@dataclass(frozen=True, slots=True)
class Matching:
    """The rules of execution: costs, margin, and when a session opens."""

    commission: CommissionModel
    slippage: SlippageModel
    margin: bool
    session_open: SessionOpen = midnight_utc

    def match(self, books: PaperBooks, ts: dt.datetime, bars: pl.DataFrame, symbols: set[str]) -> SessionMatched:
        """What this session does to `symbols`: actions, order states, fills, closes. Changes no books.

        Raises
        ------
        DataUnfit
            A needed number of a bar is missing, not finite or not above zero.
        """
        rows = _rows(bars, symbols)
        accounts = dict(books.accounts)
        actions = tuple(_actions(books.closes, rows, _held(accounts)))
        for a in actions:
            for name, account in accounts.items():
                accounts[name] = account.apply_action(a.symbol, a.price_factor, a.split_factor, a.previous_close)
        opens_at = self.session_open(bars["session"][0]) if books.open else ts
        due = [o for o in books.open.values() if o.symbol in rows and o.decided_at <= opens_at]
        orders = {o.id: _split(o, rows[o.symbol]["split_factor"]) for o in due}
        fills = []
        for order in sorted(orders.values(), key=_priority):
            if order.status.is_final:
                continue
            account = accounts[order.portfolio]
            orders[order.id], fill = self._fill(
                order, account, rows[order.symbol]["open"], bars["session"][0], opens_at
            )
            if fill:
                fills.append(fill)
                accounts[order.portfolio] = account.apply(fill)
        held = _held(accounts)
        changed = tuple(order for order in orders.values() if order != books.open[order.id])
        closes = tuple((symbol, row["close"]) for symbol, row in rows.items() if symbol in held)
        return SessionMatched(ts, tuple(bars["symbol"]), actions, changed, tuple(fills), closes)

    def _fill(
        self, order: Order, account: Account, open_price: float, session: dt.date, at: dt.datetime
    ) -> tuple[Order, Fill | None]:
        price = self.slippage.fill_price(order.side, Decimal(str(open_price)))
        quantity = order.quantity
        if order.side is Side.BUY and not self.margin:
            quantity = self._affordable(quantity, price, account.cash_usd)
        if not quantity:
            return order.with_status(OrderStatus.CANCELLED, _short_of_cash(order, quantity, price, account)), None
        commission = self.commission.commission_usd(quantity, price)
        fill_id = f"fill_{order.id.removeprefix('ord_')}_{session:%Y%m%d}_1"
        fill = Fill(fill_id, order.id, order.symbol, order.side, quantity, price, commission, at)
        after = replace(order, status=OrderStatus.FILLED, filled_quantity=quantity)
        if quantity < order.quantity:
            after = after.with_status(OrderStatus.CANCELLED, _short_of_cash(order, quantity, price, account))
        return after, fill

    def _affordable(self, wanted: Decimal, price: Decimal, cash_usd: Decimal) -> Decimal:
        """All of `wanted`, or the most whole shares that `cash_usd` pays for with commission."""

        def cost(quantity: Decimal) -> Decimal:
            return quantity * price + self.commission.commission_usd(quantity, price)

        if cost(wanted) <= cash_usd:
            return wanted
        low, high = 0, int(wanted.to_integral_value(rounding=ROUND_DOWN))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if cost(Decimal(middle)) <= cash_usd else (low, middle - 1)
        return Decimal(low)


def _priority(order: Order) -> tuple[bool, str, dt.datetime, str]:
    """Sells first: their cash pays for the buys."""
    return order.side is Side.BUY, order.symbol, order.decided_at, order.id


def _short_of_cash(order: Order, filled: Decimal, price: Decimal, account: Account) -> str:
    return (
        f"{filled:f} of {order.quantity:f} filled: cash {account.cash_usd:.2f} USD "
        f"does not reach for more at {price:f} without margin"
    )


def _rows(bars: pl.DataFrame, symbols: set[str]) -> dict[str, dict[str, float]]:
    """Checked numbers of the symbols that matter, by symbol."""
    names = ("open", "close", "price_factor", "split_factor")
    columns = [bars[name].to_list() for name in names]
    rows = {}
    for i, symbol in enumerate(bars["symbol"].to_list()):
        if symbol in symbols:
            rows[symbol] = {
                name: _positive(column[i], symbol, name) for name, column in zip(names, columns, strict=True)
            }
    return rows


def _positive(value: float | None, symbol: str, name: str) -> float:
    if value is None or not math.isfinite(value) or value <= 0:
        raise DataUnfit(f"{symbol} has {name} {value}.", field=name, remedy="Validate the bars before trading on them.")
    return value


def _held(accounts: Mapping[str, Account]) -> set[str]:
    return {symbol for account in accounts.values() for symbol in account.positions}


def _actions(
    closes: Mapping[str, float], rows: Mapping[str, Mapping[str, float]], held: set[str]
) -> Iterable[CorporateAction]:
    for symbol, row in rows.items():
        factors = row["price_factor"], row["split_factor"]
        if symbol in held and factors != (1.0, 1.0):
            yield CorporateAction(symbol, *factors, Decimal(str(closes[symbol])))


def _split(order: Order, split_factor: float) -> Order:
    """An open order in new shares. Its id stays: it names the order as it was decided."""
    if split_factor == 1.0:
        return order
    ratio = share_ratio(split_factor)
    quantity = split_quantity(order.quantity, ratio)
    detail = f"split {ratio.numerator}:{ratio.denominator}: {order.quantity:f} became {quantity:f}"
    if not quantity:
        return order.with_status(OrderStatus.CANCELLED, detail)
    price = order.reference_price * ratio.denominator / ratio.numerator
    return replace(order, quantity=quantity, reference_price=price, detail=detail)
