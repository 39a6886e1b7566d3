"""What the ledger gives back and takes in besides decisions."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.orders import Fill, Order, Position


@dataclass(frozen=True, slots=True)
class NavPoint:
    """Net asset value at a session's close."""

    at: dt.datetime
    nav_usd: Decimal
    cash_usd: Decimal


@dataclass(frozen=True, slots=True)
class PortfolioRecord:
    """One portfolio as the ledger knows it.

    `open_orders` are those not final. `last_decision_at` and `last_settled_at` are session closes.
    `last_fill_id` is where the next question to the broker starts. `peak_nav_usd` counts from the last time the
    portfolio became ACTIVE, at `state_since`; None means since it was created. `awaited` are held symbols whose bar of
    the session settled last had not come by then: a split or dividend in it is still to be applied.
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
    state_since: dt.datetime | None = None
    awaited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one session changed: all of it is written in one transaction.

    `nav` is None when only order states or fills are recorded between closes. `awaited` is written with a NAV point.
    """

    portfolio: str
    at: dt.datetime
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    cash_usd: Decimal
    positions: tuple[Position, ...]
    nav: NavPoint | None
    awaited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderTrail:
    """An order explained: the order, its fills and the decision with all its inputs."""

    order: Order
    fills: tuple[Fill, ...]
    decision: Decision
