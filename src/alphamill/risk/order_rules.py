"""Rules over orders: the last word before the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import ClassVar

from alphamill.domain.decisions import RuleResult, TradingState
from alphamill.domain.orders import Order, Side
from alphamill.risk.context import RiskContext
from alphamill.risk.rule import OrderRule

_BPS = Decimal(10_000)
_NOTHING = Decimal(0)


def whole(quantity: Decimal) -> Decimal:
    """Whole shares, rounded toward zero."""
    return quantity.to_integral_value(rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class ValidNumbers(OrderRule):
    """Price and quantity are finite and above zero, and the price is that of the decision's bar."""

    name: ClassVar[str] = "valid_numbers"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        price = context.prices.get(order.symbol)
        for value in (price, order.reference_price):
            if value is None or not value.is_finite() or value <= 0:
                return self.deny(order, "INVALID_PRICE", f"price {value}")
        if not order.quantity.is_finite() or order.quantity <= 0:
            return self.deny(order, "INVALID_QUANTITY", f"quantity {order.quantity}")
        if price != order.reference_price:
            return self.deny(order, "INVALID_PRICE", f"reference {order.reference_price:f}, the bar has {price:f}")
        return order, None


@dataclass(frozen=True, slots=True)
class StateAllows(OrderRule):
    """HALTED sends nothing. REDUCING sends only what brings a position toward zero, never through it."""

    name: ClassVar[str] = "state"

    def apply(self, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
        if context.state is TradingState.ACTIVE:
            return list(orders), []
        if context.state is TradingState.HALTED:
            return [], [self.deny(order, "HALTED", "the portfolio is HALTED")[1] for order in orders]
        kept, results = [], []
        left = {symbol: position.quantity for symbol, position in context.positions.items()}
        for order in orders:
            held = left.get(order.symbol, _NOTHING)
            closable = abs(held) if held * order.side.sign < 0 else _NOTHING
            after: Order | None = order
            if order.quantity > closable:
                after, result = self.shrink(order, closable, "REDUCING", f"only {closable:f} reduces the position")
                results.append(result)
            if after is not None:
                kept.append(after)
                left[order.symbol] = held + order.side.sign * after.quantity
        return kept, results


@dataclass(frozen=True, slots=True)
class MaxOrderNotional(OrderRule):
    """An order above `limit_usd` is denied. One that only reduces is cut, so that a large position can be left."""

    limit_usd: Decimal
    name: ClassVar[str] = "max_order_notional"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        if order.notional_usd <= self.limit_usd:
            return order, None
        detail = f"notional {order.notional_usd:.2f} USD is above {self.limit_usd:f}"
        if context.raises_exposure(order):
            return self.deny(order, "ORDER_NOTIONAL", detail)
        return self.shrink(order, whole(self.limit_usd / order.reference_price), "ORDER_NOTIONAL", detail)


@dataclass(frozen=True, slots=True)
class MaxVolume(OrderRule):
    """No order above `limit_pct` of the bar's volume."""

    limit_pct: float
    name: ClassVar[str] = "max_volume"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        volume = context.volumes.get(order.symbol)
        if volume is None or not volume.is_finite() or volume < 0:
            return self.deny(order, "VOLUME_CAP", f"volume {volume}")
        cap = whole(volume * Decimal(str(self.limit_pct)) / 100)
        if order.quantity <= cap:
            return order, None
        return self.shrink(order, cap, "VOLUME_CAP", f"{self.limit_pct:g} % of the volume {volume:f} is {cap:f}")


@dataclass(frozen=True, slots=True)
class BuyingPower(OrderRule):
    """Without margin, buys cost no more than cash and sales bring, costs included; all are cut alike."""

    commission_bps: float
    slippage_bps: float
    name: ClassVar[str] = "buying_power"

    def apply(self, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
        commission = Decimal(str(self.commission_bps)) / _BPS
        slippage = Decimal(str(self.slippage_bps)) / _BPS
        pays, gets = (1 + slippage) * (1 + commission), (1 - slippage) * (1 - commission)
        proceeds = sum((o.notional_usd * gets for o in orders if o.side is Side.SELL), _NOTHING)
        cost = sum((o.notional_usd * pays for o in orders if o.side is Side.BUY), _NOTHING)
        available = max(context.cash_usd + proceeds, _NOTHING)
        if cost <= available:
            return list(orders), []
        kept, results = [], []
        for order in orders:
            after: Order | None = order
            if order.side is Side.BUY:
                detail = f"buys need {cost:.2f} USD with costs, {available:.2f} are there"
                quantity = whole(order.quantity * available / cost)
                after, result = self.shrink(order, quantity, "INSUFFICIENT_CASH", detail)
                results.append(result)
            if after is not None:
                kept.append(after)
        return kept, results


@dataclass(frozen=True, slots=True)
class MinOrder(OrderRule):
    """An order under `limit_usd` is denied, unless it closes a position."""

    limit_usd: Decimal
    name: ClassVar[str] = "min_order"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        closes = context.quantity(order.symbol) + order.side.sign * order.quantity == 0
        if closes or order.notional_usd >= self.limit_usd:
            return order, None
        return self.deny(order, "MIN_ORDER", f"notional {order.notional_usd:.2f} USD is under {self.limit_usd:f}")
