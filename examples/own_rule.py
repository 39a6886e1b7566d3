"""Two rules of your own: one over target weights, one over orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from alphamill.domain.decisions import RuleResult
from alphamill.domain.orders import Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.risk import OrderRule, RiskContext, TargetRule, own_rule


@dataclass(frozen=True, slots=True)
class HalfSpeed(TargetRule):
    """From `drawdown_pct` below the peak NAV every target is halved."""

    drawdown_pct: float
    name: ClassVar[str] = "half_speed"

    def apply(self, context: RiskContext, weights: Mapping[str, float]) -> tuple[dict[str, float], list[RuleResult]]:
        if context.drawdown_pct < self.drawdown_pct:
            return dict(weights), []
        detail = f"drawdown {context.drawdown_pct:.1f} %: all targets halved"
        return {symbol: weight / 2 for symbol, weight in weights.items()}, [self.shrink("*", "HALF_SPEED", detail)]


@dataclass(frozen=True, slots=True)
class RestrictedList(OrderRule):
    """Names that may be sold but not bought."""

    symbols: frozenset[str]
    name: ClassVar[str] = "restricted_list"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        if order.symbol in self.symbols and context.raises_exposure(order):
            return self.deny(order, "RESTRICTED", f"{order.symbol} is on the restricted list")
        return order, None


@own_rule("half_speed")
def half_speed(spec: PortfolioSpec) -> HalfSpeed:
    return HalfSpeed(spec.risk.max_drawdown_pct / 2)


@own_rule("restricted_list")
def restricted_list(spec: PortfolioSpec) -> RestrictedList:
    return RestrictedList(frozenset({"FB"}))
