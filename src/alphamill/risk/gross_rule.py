"""The gross limit, once more over orders: what the other rules denied may have been what made room."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from alphamill.domain.decisions import RuleResult
from alphamill.domain.money import round_shares
from alphamill.domain.orders import Order
from alphamill.risk.context import RiskContext
from alphamill.risk.rule import OrderRule

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class GrossAfterOrders(OrderRule):
    """What is opened fits beside what stays: positions after all orders sum to no more than `limit` of NAV.

    The target rule of the same limit counts on every order. Where a cap on volume or notional keeps a position from
    being closed, the part of the orders that opens or adds is cut alike; closing is never touched. An order that this
    leaves under `min_order_usd` is denied, and one through zero only closes then.
    """

    limit: float
    min_order_usd: Decimal = _NOTHING
    name: ClassVar[str] = "gross_after_orders"

    def apply(self, context: RiskContext, orders: Sequence[Order]) -> tuple[list[Order], list[RuleResult]]:
        closed = {order.id: min(order.quantity, order.closable(context.quantity(order.symbol))) for order in orders}
        opened_usd = sum((o.notional_usd - closed[o.id] * o.reference_price for o in orders), _NOTHING)
        if not opened_usd:
            return list(orders), []
        stays_usd = sum((abs(p.quantity) * context.prices[s] for s, p in context.positions.items()), _NOTHING)
        stays_usd -= sum((closed[o.id] * o.reference_price for o in orders), _NOTHING)
        room_usd = max(Decimal(str(self.limit)) * context.nav_usd - stays_usd, _NOTHING)
        if opened_usd <= room_usd:
            return list(orders), []
        detail = f"opening {opened_usd:.2f} USD leaves more than {self.limit:g} of NAV; {room_usd:.2f} fit"
        kept, results = [], []
        for order in orders:
            after: Order | None = order
            if order.quantity > closed[order.id]:
                opened = (order.quantity - closed[order.id]) * room_usd / opened_usd
                quantity = closed[order.id] + round_shares(opened, context.spec.broker.share_step)
                after, result = self._cut(context, order, quantity, closed[order.id], detail)
                results.append(result)
            if after is not None:
                kept.append(after)
        return kept, results

    def _cut(
        self, context: RiskContext, order: Order, quantity: Decimal, closed: Decimal, detail: str
    ) -> tuple[Order | None, RuleResult]:
        closes = closed > 0 and closed == abs(context.quantity(order.symbol))
        if closes and quantity * order.reference_price < self.min_order_usd:
            return self.shrink(order, closed, "GROSS_LIMIT", detail)
        return self.shrink(order, quantity, "GROSS_LIMIT", detail, least_usd=self.min_order_usd)
