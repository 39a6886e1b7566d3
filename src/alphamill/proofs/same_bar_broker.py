"""A broker that cheats: it fills at the close that the decision was made on."""

from decimal import Decimal

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.events import SessionMatched
from alphamill.domain.orders import Fill, Order, OrderStatus


class SameBarBroker(PaperBroker):
    """Fills every order at once at its reference price. The look-ahead check must catch it."""

    def submit(self, order: Order) -> Order:
        answer = super().submit(order)
        if answer.status is not OrderStatus.ACCEPTED:
            return answer
        at, id_ = order.decided_at, f"fill_{order.id}"
        fill = Fill(id_, order.id, order.symbol, order.side, order.quantity, order.reference_price, Decimal(0), at)
        filled = answer.after(status=OrderStatus.FILLED, filled_quantity=order.quantity)
        with self._certain():
            close = (order.symbol, float(order.reference_price))
            self._commit([SessionMatched(at, (), orders=(filled,), fills=(fill,), closes=(close,))])
        return filled
