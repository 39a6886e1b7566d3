"""Rules over target weights."""

from dataclasses import dataclass
from typing import ClassVar

from alphamill.domain.decisions import RuleResult, TradingState
from alphamill.risk.context import RiskContext
from alphamill.risk.rule import TargetRule, Weights

#: Sums of floats may exceed a limit by this much without meaning to.
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class LongOnly(TargetRule):
    """No short targets."""

    name: ClassVar[str] = "long_only"

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        short = {symbol: weight for symbol, weight in weights.items() if weight < 0}
        results = [self.shrink(s, "LONG_ONLY", f"target {w:.4f} became 0") for s, w in short.items()]
        return {**weights, **dict.fromkeys(short, 0.0)}, results


@dataclass(frozen=True, slots=True)
class MaxWeight(TargetRule):
    """No target larger than `limit`, a fraction of NAV, on either side."""

    limit: float
    name: ClassVar[str] = "max_weight"

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        after, results = dict(weights), []
        for symbol, weight in weights.items():
            if abs(weight) > self.limit + TOLERANCE:
                after[symbol] = self.limit if weight > 0 else -self.limit
                results.append(self.shrink(symbol, "MAX_WEIGHT", f"target {weight:.4f} became {after[symbol]:.4f}"))
        return after, results


@dataclass(frozen=True, slots=True)
class GrossLimit(TargetRule):
    """The absolute weights, with positions that have no target, sum to at most `limit`."""

    limit: float
    name: ClassVar[str] = "gross_limit"

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        untouched = sum(abs(context.current_weight(s)) for s in context.positions if s not in weights)
        room = max(self.limit - untouched, 0.0)
        gross = sum(abs(weight) for weight in weights.values())
        if gross <= room + TOLERANCE:
            return weights, []
        detail = f"targets sum to {gross:.4f}, {room:.4f} is left of the limit {self.limit:.4f}; all scaled"
        return {s: w * room / gross for s, w in weights.items()}, [self.shrink("*", "GROSS_LIMIT", detail)]


@dataclass(frozen=True, slots=True)
class MaxTurnover(TargetRule):
    """Sum of absolute weight changes at most `limit_pct` of NAV. Reductions always pass and count first."""

    limit_pct: float
    name: ClassVar[str] = "max_turnover"

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        current = {symbol: context.current_weight(symbol) for symbol in weights}
        reduced = {symbol: no_larger(weight, current[symbol]) for symbol, weight in weights.items()}
        raises = sum(abs(weights[s] - reduced[s]) for s in weights)
        budget = max(self.limit_pct / 100 - sum(abs(reduced[s] - current[s]) for s in weights), 0.0)
        if raises <= budget + TOLERANCE:
            return weights, []
        part = budget / raises
        after = {s: w if w == reduced[s] else reduced[s] + part * (w - reduced[s]) for s, w in weights.items()}
        detail = f"raising weights by {raises:.4f} exceeds the {budget:.4f} left of {self.limit_pct:g} % turnover"
        return after, [self.shrink("*", "MAX_TURNOVER", detail)]


@dataclass(frozen=True, slots=True)
class MaxDrawdown(TargetRule):
    """From `limit_pct` below the peak NAV, or in state REDUCING, no target raises exposure."""

    limit_pct: float
    name: ClassVar[str] = "max_drawdown"

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        if context.state is TradingState.ACTIVE and context.drawdown_pct < self.limit_pct:
            return weights, []
        after = {symbol: no_larger(weight, context.current_weight(symbol)) for symbol, weight in weights.items()}
        if after == weights:
            return weights, []
        state = f"state {context.state}, drawdown {context.drawdown_pct:.2f} % (limit {self.limit_pct:g} %)"
        return after, [self.deny("*", "MAX_DRAWDOWN", f"{state}: exposure is only reduced")]


def no_larger(weight: float, current: float) -> float:
    """`weight` without what it adds to the exposure of `current`; through zero only the way to zero is kept."""
    if weight * current <= 0:
        return 0.0
    return weight if abs(weight) <= abs(current) else current
