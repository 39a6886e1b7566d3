"""What the ledger gives back and takes in besides decisions."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.orders import Fill, Order, Position
from alphamill.domain.portfolios import PortfolioSpec


@dataclass(frozen=True, slots=True)
class NavPoint:
    """Net asset value at a session's close."""

    at: dt.datetime
    nav_usd: Decimal
    cash_usd: Decimal


class CashKind(StrEnum):
    """Why cash moved without a trade."""

    DIVIDEND = "dividend"
    CASH_IN_LIEU = "cash in lieu"
    DELISTING = "delisting"


@dataclass(frozen=True, slots=True)
class CashEntry:
    """Cash that came (or, below zero, went) without a trade; `quantity` is what was held of the symbol."""

    id: str
    symbol: str
    kind: CashKind
    at: dt.datetime
    quantity: Decimal
    amount_usd: Decimal
    detail: str

    @classmethod
    def of(
        cls,
        portfolio: str,
        symbol: str,
        kind: CashKind,
        at: dt.datetime,
        quantity: Decimal,
        amount_usd: Decimal,
        detail: str,
    ) -> "CashEntry":
        """With an id of its content's place: one entry a symbol, kind and moment, however often it is booked."""
        id_ = _hashed("csh", portfolio, symbol, kind.value, at.astimezone(dt.UTC).isoformat())
        return cls(id_, symbol, kind, at, quantity, amount_usd, detail)


@dataclass(frozen=True, slots=True)
class Target:
    """Weights that a person wants, fractions of NAV by symbol; symbols left out become 0."""

    id: str
    portfolio: str
    weights: Mapping[str, float]
    at: dt.datetime
    requested_by: str


def target_id(portfolio: str, at: dt.datetime, weights: Mapping[str, float]) -> str:
    """The id of a target is its content: sent twice it is one target."""
    told = ",".join(f"{symbol}={weights[symbol]!r}" for symbol in sorted(weights))
    return _hashed("tgt", portfolio, at.astimezone(dt.UTC).isoformat(), told)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One change of a portfolio's trading state."""

    at: dt.datetime
    state: TradingState
    reason: str


@dataclass(frozen=True, slots=True)
class SpecChange:
    """A spec that replaced another: by dotted field the old and the new value."""

    at: dt.datetime
    difference: Mapping[str, tuple[Any, Any]]


def _hashed(prefix: str, *parts: str) -> str:
    return f"{prefix}_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class PortfolioRecord:
    """One portfolio as the ledger knows it.

    `open_orders` are those not final. `last_decision_at` and `last_settled_at` are session closes.
    `last_fill_id` is where the next question to the broker starts. `peak_nav_usd` counts from the last time the
    portfolio became ACTIVE, at `state_since`; None means since it was created. `awaited` are held symbols whose bar of
    the session settled last had not come by then: a split or dividend in it is still to be applied. `revision` counts
    the writes of the books: whoever writes next names the one it read. `bars_version` is the version of the bars table
    that was settled last, -1 before.
    """

    name: str
    state: TradingState
    state_reason: str
    cash_usd: Decimal
    positions: dict[str, Position]
    open_orders: tuple[Order, ...]
    nav_usd: Decimal
    peak_nav_usd: Decimal
    last_settled_at: dt.datetime | None
    last_decision_at: dt.datetime | None
    last_fill_id: str | None
    model_version: str
    spec: PortfolioSpec
    revision: int = 0
    bars_version: int = -1
    state_since: dt.datetime | None = None
    awaited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one session changed: all of it is written in one transaction.

    `revision` is that of the record it was computed from: a ledger whose books moved on since refuses it. `nav` is None
    when only order states or fills are recorded between closes. `awaited` and `bars_version` are written with a NAV
    point.
    """

    portfolio: str
    at: dt.datetime
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    cash_usd: Decimal
    positions: tuple[Position, ...]
    nav: NavPoint | None
    awaited: tuple[str, ...] = ()
    revision: int = 0
    entries: tuple[CashEntry, ...] = ()
    bars_version: int = -1


@dataclass(frozen=True, slots=True)
class OrderTrail:
    """An order explained: its fills, the decision with all its inputs, and cash that its symbol brought since."""

    order: Order
    fills: tuple[Fill, ...]
    decision: Decision
    entries: tuple[CashEntry, ...] = ()
