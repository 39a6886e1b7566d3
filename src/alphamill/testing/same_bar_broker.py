"""A broker that cheats: it fills at the close that the decision was made on."""

from alphamill.domain.orders import Order
from alphamill.testing.broker import FakeBroker


class SameBarBroker(FakeBroker):
    """Fills every order at once at its reference price. The look-ahead check must catch it."""

    def submit(self, order: Order) -> Order:
        if super().submit(order).filled_quantity == 0:
            self.fill(order.id, order.reference_price, order.decided_at)
        return self._orders[order.id]
