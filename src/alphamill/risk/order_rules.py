"""Rules over orders: the last word before the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar

from alphamill.domain.costs import Commission, Slippage
from alphamill.domain.decisions import RuleResult, TradingState
from alphamill.domain.money import round_shares
from alphamill.domain.orders import Order, Side
from alphamill.risk.context import RiskContext
from alphamill.risk.rule import OrderRule

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class ValidNumbers(OrderRule):
    """Price and quantity are finite and above zero, the price is that of the decision's bar, the shares can be traded.

    They can when the order, or the position it leaves, is a multiple of the broker's `share_step`.
    """

    name: ClassVar[str] = "valid_numbers"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        price = context.prices.get(order.symbol)
        for value in (price, order.reference_price):
            if value is None or not value.is_finite() or value <= 0:
                return self.deny(order, "INVALID_PRICE", f"price {value}")
        if not order.quantity.is_finite() or order.quantity <= 0:
            return self.deny(order, "INVALID_QUANTITY", f"quantity {order.quantity}")
        step, after = context.spec.broker.share_step, context.quantity(order.symbol) + order.side.sign * order.quantity
        if order.quantity % step and after % step:
            return self.deny(order, "INVALID_QUANTITY", f"quantity {order.quantity:f} is no multiple of {step:f}")
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
            closable = order.closable(held)
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
        return self.shrink(order, _in_steps(context, self.limit_usd / order.reference_price), "ORDER_NOTIONAL", detail)


@dataclass(frozen=True, slots=True)
class MaxVolume(OrderRule):
    """No order above `limit_pct` of the bar's volume."""

    limit_pct: float
    name: ClassVar[str] = "max_volume"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        volume = context.volumes.get(order.symbol)
        if volume is None or not volume.is_finite() or volume < 0:
            return self.deny(order, "VOLUME_CAP", f"volume {volume}")
        cap = _in_steps(context, volume * Decimal(str(self.limit_pct)) / 100)
        if order.quantity <= cap:
            return order, None
        return self.shrink(order, cap, "VOLUME_CAP", f"{self.limit_pct:g} % of the volume {volume:f} is {cap:f}")


@dataclass(frozen=True, slots=True)
class BuyingPower(OrderRule):
    """Without margin, buys cost no more than cash and sales bring, costs included; otherwise all are cut alike.

    Costs are those of one fill at the reference price. Where buys are cut, the minimum commission is set aside once for
    each of them and the rest shared in proportion: what is left then pays for itself however it is rounded. A buy that
    this leaves under `min_order_usd` is denied.

    A sale counts as far as it closes. What a short sale brings is a debt in shares, and the gross limit may still cut
    it after this rule: nothing is bought with it.
    """

    commission: Commission
    slippage: Slippage
    min_order_usd: Decimal = _NOTHING
    name: ClassVar[str] = "buying_power"

    def apply(self, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
        buys = [order for order in orders if order.side is Side.BUY]
        proceeds = sum((self._proceeds_usd(context, o) for o in orders if o.side is Side.SELL), _NOTHING)
        cost = sum((self._cost_usd(order) for order in buys), _NOTHING)
        available = max(context.cash_usd + proceeds, _NOTHING)
        if cost <= available:
            return list(orders), []
        shared = max(available - len(buys) * self.commission.minimum_usd, _NOTHING)
        proportional = sum((self._cost_usd(order, minimum=False) for order in buys), _NOTHING)
        detail = f"buys need {cost:.2f} USD with costs, {available:.2f} are there"
        kept, results = [], []
        for order in orders:
            after: Order | None = order
            if order.side is Side.BUY:
                quantity = _in_steps(context, order.quantity * shared / proportional)
                after, result = self.shrink(order, quantity, "INSUFFICIENT_CASH", detail, least_usd=self.min_order_usd)
                results.append(result)
            if after is not None:
                kept.append(after)
        return kept, results

    def _cost_usd(self, order: Order, *, minimum: bool = True) -> Decimal:
        """Cash one fill of a whole buy takes."""
        model = self.commission if minimum else replace(self.commission, minimum_usd=_NOTHING)
        price = self.slippage.fill_price(order.side, order.reference_price)
        return order.quantity * price + model.commission_usd(order.quantity, price)

    def _proceeds_usd(self, context: RiskContext, order: Order) -> Decimal:
        """Cash that the closing part of a sale brings, after the commission of the whole."""
        price = self.slippage.fill_price(order.side, order.reference_price)
        closing = min(order.quantity, order.closable(context.quantity(order.symbol)))
        return closing * price - self.commission.commission_usd(order.quantity, price)


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


def _in_steps(context: RiskContext, quantity: Decimal) -> Decimal:
    """Rounded toward zero to what the broker trades."""
    return round_shares(quantity, context.spec.broker.share_step)
