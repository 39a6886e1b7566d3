"""Who executes orders."""

from typing import Protocol

from alphamill.domain.orders import Fill, Order, Position


class Broker(Protocol):
    """Executes orders. Submitting an id it already has is answered, not executed again."""

    def submit(self, order: Order) -> Order:
        """The order as the broker now sees it; `BrokerUnavailable` when the answer is unclear."""
        ...

    def order(self, order_id: str) -> Order | None:
        """What the broker knows of an id; None if it never saw it."""
        ...

    def cancel(self, order_id: str) -> Order: ...

    def fills(self, portfolio: str, *, after: str | None = None) -> list[Fill]:
        """Fills in the order they happened, after the fill id given."""
        ...

    def positions(self, portfolio: str) -> list[Position]: ...
