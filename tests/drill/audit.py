"""The books after a run, checked against each other and against an own recomputation from fills and bars."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

import polars as pl

from alphamill.domain.decisions import Decision
from alphamill.domain.ledger import NavPoint, PortfolioRecord
from alphamill.domain.orders import Fill, Order, OrderStatus, order_id
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import Broker
from alphamill.testing.broker import cash_at, fills_at, positions_at

#: Rounding of cash (1e-6) and of averages (1e-8) over a run adds up to far less.
TOLERANCE = Fraction(1, 10_000)


class LedgerPages(Protocol):
    """What a ledger tells beyond its port: `SqlLedgerView` and `InMemoryLedger` do."""

    def decisions(self, portfolio: str) -> list[Decision]: ...
    def orders(self, portfolio: str) -> list[Order]: ...
    def fills(self, portfolio: str) -> list[Fill]: ...
    def nav_points(self, portfolio: str) -> list[NavPoint]: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known after a run, when nothing fails any more.

    Parameters
    ----------
    pages, record
        The ledger's side.
    broker
        The broker's side, without faults.
    sent
        Every order that reached the broker, in order, repeats included.
    bars
        `BAR_SCHEMA`: all bars of the run and the one before it.
    closes
        Close of every session that should have been decided, in order, without the opening one.
    """

    spec: PortfolioSpec
    pages: LedgerPages
    record: PortfolioRecord
    broker: Broker
    sent: Sequence[Order]
    bars: pl.DataFrame
    closes: Sequence[dt.datetime]


def violations(evidence: Evidence) -> list[str]:
    """Every broken promise in words; empty when exactly once holds.

    Orders: each id is the hash of its content; what reached the broker was committed; one order for a symbol and a
    decision; each is final on both sides, or open on both. Decisions: one for each session. Fills: the same on both
    sides. Money: position is the sum of fills and splits, cash to the cent, average price, one NAV point a session.
    """
    return [
        *_decisions(evidence),
        *_orders(evidence),
        *_sides(evidence),
        *_fills(evidence),
        *_money(evidence),
        *_nav(evidence),
    ]


def _decisions(evidence: Evidence) -> Iterator[str]:
    made = evidence.pages.decisions(evidence.spec.name)
    counted = Counter(d.decided_at for d in made if d.source == "model")
    for close in evidence.closes:
        if counted[close] != 1:
            yield f"the session of {close:%Y-%m-%d} was decided {counted[close]} times"
    if extra := set(counted) - set(evidence.closes):
        yield f"decisions at {sorted(extra)} belong to no session"
    for order in (order for decision in made for order in decision.orders):
        if order.id != order_id(order.portfolio, order.decided_at, order.symbol, order.side, order.quantity):
            yield f"{order.id} is not the hash of its content"


def _orders(evidence: Evidence) -> Iterator[str]:
    committed = {order.id for order in evidence.pages.orders(evidence.spec.name)}
    arrived = {order.id: order for order in evidence.sent}
    for order in arrived.values():
        if order.id not in committed:
            yield f"{order.id} reached the broker and is not in the ledger"
    wanted = Counter((order.decided_at, order.symbol) for order in arrived.values())
    for (at, symbol), count in wanted.items():
        if count > 1:
            yield f"{count} orders for {symbol} at {at:%Y-%m-%d}"


def _sides(evidence: Evidence) -> Iterator[str]:
    for order in evidence.pages.orders(evidence.spec.name):
        theirs = evidence.broker.order(order.id)
        if theirs is None:
            if order.status not in (OrderStatus.CANCELLED, OrderStatus.REJECTED) or order.filled_quantity:
                yield f"{order.id} is {order.status} in the ledger and unknown to the broker"
        elif (order.status, order.filled_quantity) != (theirs.status, theirs.filled_quantity):
            yield (
                f"{order.id} is {order.status}, {order.filled_quantity:f} filled in the ledger, "
                f"{theirs.status}, {theirs.filled_quantity:f} at the broker"
            )
        elif theirs.filled_quantity > theirs.quantity:
            yield f"{order.id} filled {theirs.filled_quantity:f} of {theirs.quantity:f}"


def _fills(evidence: Evidence) -> Iterator[str]:
    name = evidence.spec.name
    ours, theirs = evidence.pages.fills(name), fills_at(evidence.broker, name)
    if len({fill.id for fill in ours}) != len(ours):
        yield "a fill is in the ledger twice"
    for fill in {*ours} ^ {*theirs}:
        yield f"{fill.id} is only {'in the ledger' if fill in ours else 'at the broker'}"
    splits = evidence.bars.filter(pl.col("split_factor") != 1.0).select("symbol", "session", "split_factor").rows()
    for order in evidence.pages.orders(name):
        if order.filled_quantity not in _sums([f for f in ours if f.order_id == order.id], splits):
            yield f"the fills of {order.id} do not sum to {order.filled_quantity:f}"


def _sums(fills: Sequence[Fill], splits: Sequence[tuple[Any, ...]]) -> set[Fraction]:
    """What an order's fills sum to in the shares of its last fill, or of a split after it while it stayed open."""
    if not fills:
        return {Fraction(0)}
    events: list[tuple[dt.date, int, Fraction]]
    events = [(day, 0, Fraction(split)) for symbol, day, split in splits if symbol == fills[0].symbol]
    events += [(fill.filled_at.date(), 1, Fraction(fill.quantity)) for fill in fills]
    total, sums, left = Fraction(0), set(), len(fills)
    for _, is_fill, amount in sorted(events):
        total, left = (total + amount, left - 1) if is_fill else (total / amount, left)
        if not left:
            sums.add(total)
    return sums


def _money(evidence: Evidence) -> Iterator[str]:
    cash, held = _recomputed(evidence)
    record = evidence.record
    if abs(Fraction(record.cash_usd) - cash) > TOLERANCE:
        yield f"cash is {record.cash_usd}, fills and actions make {float(cash):.6f}"
    if record.cash_usd != (theirs_usd := cash_at(evidence.broker, record.name)):
        yield f"cash is {record.cash_usd} in the ledger and {theirs_usd} at the broker"
    theirs = {p.symbol: p.quantity for p in positions_at(evidence.broker, record.name)}
    for symbol in sorted({*held, *record.positions, *theirs}):
        quantity, cost = held.get(symbol, (Fraction(0), Fraction(0)))
        ours = record.positions.get(symbol)
        if (ours.quantity if ours else 0) != quantity or theirs.get(symbol, Decimal(0)) != quantity:
            yield (
                f"{symbol}: fills make {float(quantity):g}, the ledger holds {ours.quantity if ours else 0}, "
                f"the broker {theirs.get(symbol, 0)}"
            )
        elif ours is not None and abs(Fraction(ours.average_price) - cost) > TOLERANCE:
            yield f"{symbol}: average price {ours.average_price}, fills make {float(cost):.8f}"


def _nav(evidence: Evidence) -> Iterator[str]:
    points = evidence.pages.nav_points(evidence.spec.name)
    if [point.at for point in points[1:]] != list(evidence.closes):
        yield f"NAV points at {[f'{point.at:%m-%d}' for point in points[1:]]}, one for each session is due"
    record = evidence.record
    worth = record.cash_usd
    for position in record.positions.values():
        bars = evidence.bars.filter((pl.col("symbol") == position.symbol) & (pl.col("ts") <= record.last_settled_at))
        worth += position.quantity * Decimal(str(bars.sort("ts")["close"][-1]))
    if worth != record.nav_usd:
        yield f"NAV is {record.nav_usd}, cash and positions at the last close are worth {worth}"


def _recomputed(evidence: Evidence) -> tuple[Fraction, dict[str, tuple[Fraction, Fraction]]]:
    """Cash, and (quantity, average price) by symbol, from the broker's fills and the bars' splits and dividends."""
    cash = Fraction(evidence.spec.initial_cash_usd)
    held: dict[str, tuple[Fraction, Fraction]] = {}
    events: list[tuple[dt.date, int, Any]]
    events = [(bar["session"], 0, bar) for bar in _actions(evidence.bars, evidence.closes)]
    events += [(fill.filled_at.date(), 1, fill) for fill in fills_at(evidence.broker, evidence.spec.name)]
    for _, kind, event in sorted(events, key=lambda found: found[:2]):
        if kind:
            cash += Fraction(event.cash_usd)
            held[event.symbol] = _after(held.get(event.symbol, (Fraction(0), Fraction(0))), event)
        elif event["symbol"] in held:
            quantity, cost = held[event["symbol"]]
            split = Fraction(event["split_factor"]).limit_denominator(1000)
            cash += quantity * Fraction(str(event["before"])) * (1 - Fraction(str(event["price_factor"])) / split)
            shares = quantity / split
            whole = Fraction(int(shares))
            cash += (shares - whole) * Fraction(str(event["before"])) * split
            held[event["symbol"]] = whole, cost * split
    return cash, {symbol: found for symbol, found in held.items() if found[0]}


def _actions(bars: pl.DataFrame, closes: Sequence[dt.datetime]) -> list[dict[str, Any]]:
    before = pl.col("close").shift(1).over("symbol", order_by="ts").alias("before")
    acting = bars.sort("symbol", "ts").with_columns(before).filter(pl.col("price_factor") != 1.0)
    return acting.filter(pl.col("ts").is_in(list(closes))).to_dicts()


def _after(before: tuple[Fraction, Fraction], fill: Fill) -> tuple[Fraction, Fraction]:
    quantity, cost = before
    change, price = Fraction(fill.side.sign * fill.quantity), Fraction(fill.price)
    after = quantity + change
    if not after:
        return Fraction(0), Fraction(0)
    if quantity * change >= 0:
        return after, (quantity * cost + change * price) / after
    return after, price if after * quantity < 0 else cost


def difference(
    ours: Sequence[Decision],
    theirs: Sequence[Decision],
    orders: Sequence[Order],
    due_orders: Sequence[Order],
    again: dt.datetime | None = None,
) -> tuple[str, bool]:
    """Where a run left its reference, in words, and whether it had a reason to; ("", True) when it never did.

    A reason is: the decision refused something, an order of an earlier one was cancelled and filled less than in the
    reference (it did not reach the broker before its open), or a person had to send a target again. Everything else
    must be equal: orders, ids, weights, forecasts, NAV.

    Parameters
    ----------
    orders, due_orders
        Those of the run and of its reference, as they ended.
    again
        Close of the session after which a person sent a target more than once.
    """
    ended = {order.id: (order.status, order.filled_quantity) for order in due_orders}
    cancelled = [order for order in orders if order.status is OrderStatus.CANCELLED]
    lost = {o.decided_at for o in cancelled if ended.get(o.id) != (o.status, o.filled_quantity)}
    for ran, due in zip(ours, theirs, strict=False):
        if _content(ran) == _content(due):
            continue
        refused = ran.refusals != due.refusals
        earlier = any(at < ran.decided_at for at in lost) or (again is not None and again < ran.decided_at)
        return f"{ran.decided_at:%Y-%m-%d}: {_content(ran)} instead of {_content(due)}", refused or earlier
    if len(ours) != len(theirs):
        return f"{len(ours)} decisions instead of {len(theirs)}", again is not None
    return "", True


def _content(decision: Decision) -> tuple[object, ...]:
    orders = tuple((order.id, order.reference_price) for order in decision.orders)
    return decision.id, decision.nav_usd, decision.target_weights, decision.forecasts, decision.refusals, orders
