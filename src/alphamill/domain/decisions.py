"""A decision: everything that was known, what every rule said, and the orders that follow."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast
from alphamill.domain.orders import Order


class TradingState(StrEnum):
    """ACTIVE trades; REDUCING never raises exposure; HALTED sends nothing."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Signal(StrEnum):
    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


class Verdict(StrEnum):
    PASS = "pass"
    SHRINK = "shrink"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one named rule said about one symbol (or about the portfolio: symbol is "*")."""

    rule: str
    symbol: str
    verdict: Verdict
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A symbol the decision left alone, and why. `code` is an error code of `alphamill.errors`."""

    symbol: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of one portfolio at the close of one session.

    `source` is "model", "manual" or "opening"; `target_id` names the target that a manual one answers. `revision` is
    that of the books it was computed from, and is not compared: the same decision may be computed again.
    `weights_before` and `target_weights` are fractions of NAV;
    `target_weights` stand as they left the risk rules.
    """

    id: str
    portfolio: str
    decided_at: dt.datetime
    source: str
    state: TradingState
    data_version: str
    model_version: str
    run_id: str
    nav_usd: Decimal
    prices: Mapping[str, Decimal]
    snapshots: tuple[FeatureSnapshot, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    signals: dict[str, Signal] = field(default_factory=dict)
    weights_before: dict[str, float] = field(default_factory=dict)
    target_weights: dict[str, float] = field(default_factory=dict)
    rules: tuple[RuleResult, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    orders: tuple[Order, ...] = ()
    target_id: str = ""
    revision: int = field(default=0, compare=False)
