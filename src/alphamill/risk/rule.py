"""What a rule is, and how a list of them is run."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Final

from alphamill.domain.decisions import RuleResult, Verdict
from alphamill.domain.orders import Order, Position, order_id
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import InvalidConfig, InvalidWeights
from alphamill.risk.context import RiskContext

Weights = dict[str, float]

_NOTHING: Final = Decimal(0)


class TargetRule(ABC):
    """Judges target weights. It may lower the absolute value of a weight, never raise it."""

    #: Stable name that results carry.
    name: ClassVar[str]

    @abstractmethod
    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        """New weights, and one result per weight that changed."""

    def shrink(self, symbol: str, code: str, detail: str) -> RuleResult:
        return RuleResult(self.name, symbol, Verdict.SHRINK, code, detail)

    def deny(self, symbol: str, code: str, detail: str) -> RuleResult:
        return RuleResult(self.name, symbol, Verdict.DENY, code, detail)


class ExitRule(TargetRule):
    """Closes a held position by its own price: gives it the target 0, and leaves every other weight alone.

    Such a rule runs at every closed bar, also where the schedule skips the decision, and over positions without a
    target. A symbol without a sound price is left alone. One without a bar in this session is judged by its last close.
    """

    code: ClassVar[str]

    @abstractmethod
    def why(self, position: Position, price: Decimal) -> str | None:
        """Why the position is closed at this raw close; None to keep it."""

    def apply(self, context: RiskContext, weights: Weights) -> tuple[Weights, list[RuleResult]]:
        after, results = dict(weights), []
        for symbol, position in context.positions.items():
            price = context.prices.get(symbol)
            if price is None or not price.is_finite() or price <= 0 or position.average_price <= 0:
                continue
            why = self.why(position, price) if position.quantity else None
            if why is not None:
                after[symbol] = 0.0
                results.append(self.shrink(symbol, self.code, f"{why}; target 0"))
        return after, results


class OrderRule(ABC):
    """Judges orders. It may shrink or deny an order, never enlarge or add one.

    A rule that looks at one order at a time implements `check`; one that looks at all together
    overrides `apply`.
    """

    name: ClassVar[str]

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        """The order, smaller or None, with the result that says why; (order, None) lets it pass."""
        raise NotImplementedError

    def apply(self, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
        kept, results = [], []
        for order in orders:
            after, result = self.check(context, order)
            if after is not None:
                kept.append(after)
            if result is not None:
                results.append(result)
        return kept, results

    def deny(self, order: Order, code: str, detail: str) -> tuple[None, RuleResult]:
        return None, RuleResult(self.name, order.symbol, Verdict.DENY, code, detail)

    def shrink(
        self, order: Order, quantity: Decimal, code: str, detail: str, *, least_usd: Decimal = _NOTHING
    ) -> tuple[Order | None, RuleResult]:
        """The order with a smaller `quantity`; a deny when nothing is left, or less than `least_usd`."""
        if quantity <= 0:
            return self.deny(order, code, detail)
        left_usd = quantity * order.reference_price
        if left_usd < least_usd:
            return self.deny(order, "MIN_ORDER", f"{detail}; {left_usd:.2f} USD left are under {least_usd:f}")
        text = f"{detail}; {order.quantity:f} became {quantity:f}"
        return resize(order, quantity), RuleResult(self.name, order.symbol, Verdict.SHRINK, code, text)


Build = Callable[[PortfolioSpec], TargetRule | OrderRule]

_OWN: dict[str, Build] = {}


def own_rule(name: str) -> Callable[[Build], Build]:
    """Register a function from the portfolio's spec to a rule; portfolios name it in ``risk.own_rules``."""

    def register(build: Build) -> Build:
        known = _OWN.setdefault(name, build)
        if (known.__module__, known.__qualname__) != (build.__module__, build.__qualname__):
            raise InvalidConfig(f"risk rule {name!r} is registered already.", field="own_rules")
        _OWN[name] = build
        return build

    return register


def build_own_rule(name: str, spec: PortfolioSpec) -> TargetRule | OrderRule:
    """The rule registered under `name`; `InvalidConfig` lists the names there are."""
    if name not in _OWN:
        raise InvalidConfig(
            f"portfolio {spec.name} names the risk rule {name!r}, which is not registered "
            f"(known: {', '.join(sorted(_OWN)) or 'none'}).",
            field="risk.own_rules",
            remedy="Name its module in ALPHAMILL_EXTENSIONS.",
        )
    return _OWN[name](spec)


def resize(order: Order, quantity: Decimal) -> Order:
    """The order with another quantity, and so with another id: an id is the hash of the content."""
    id_ = order_id(order.portfolio, order.decided_at, order.symbol, order.side, quantity)
    return replace(order, id=id_, quantity=quantity)


@dataclass(frozen=True, slots=True)
class Rules:
    """Both families, each in the order it runs."""

    targets: tuple[TargetRule, ...]
    orders: tuple[OrderRule, ...]

    @property
    def exits(self) -> "Rules":
        """The rules that run also where the schedule skips the decision, as target rules; no order rules."""
        return Rules(tuple(rule for rule in self.targets if isinstance(rule, ExitRule)), ())

    def with_target(self, rule: TargetRule) -> "Rules":
        """Add a rule of your own, in front: the exit rules stay last."""
        return replace(self, targets=(rule, *self.targets))

    def with_order(self, rule: OrderRule) -> "Rules":
        """Add a rule of your own, in front: buying power still counts only sales that are left."""
        return replace(self, orders=(rule, *self.orders))


def check_targets(rules: Rules, context: RiskContext, weights: Mapping[str, float]) -> tuple[Weights, list[RuleResult]]:
    """Run the target rules over fractions of NAV.

    Returns
    -------
    dict of float, list of RuleResult
        Weights as they left the last rule; per rule what it changed, or one pass for "*".

    Raises
    ------
    InvalidWeights
        A weight is not finite, as it came in or as a rule left it.
    """
    after, results = dict(weights), []
    _require_finite(after, "given")
    for rule in rules.targets:
        after, said = rule.apply(context, after)
        _require_finite(after, f"left by rule {rule.name}")
        results += said or [_passed(rule.name)]
    return after, results


def check_orders(rules: Rules, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
    """Run the order rules; what is left may be sent. Results as in `check_targets`."""
    after, results = list(orders), []
    for rule in rules.orders:
        after, said = rule.apply(context, after)
        results += said or [_passed(rule.name)]
    return after, results


def _passed(rule: str) -> RuleResult:
    return RuleResult(rule, "*", Verdict.PASS, "OK", "")


def _require_finite(weights: Weights, where: str) -> None:
    if all(map(math.isfinite, weights.values())):
        return
    for symbol, weight in weights.items():
        if not math.isfinite(weight):
            raise InvalidWeights(
                f"{symbol} has weight {weight}, {where}.", field=symbol, remedy="Weights are finite numbers."
            )
