"""Who executes orders."""

from typing import Protocol

from alphamill.domain.orders import Order
from alphamill.domain.venues import Capabilities, Events, VenueAccount


class Broker(Protocol):
    """Executes orders. Submitting an id it already has is answered, not executed again."""

    def submit(self, order: Order) -> Order:
        """The order as the broker now sees it; `BrokerUnavailable` when the answer is unclear.

        PENDING says that the gateway has it and the exchange has not answered yet: `order` will tell. From then on the
        broker knows the id.
        """
        ...

    def order(self, order_id: str) -> Order | None:
        """What the broker knows of an id; None if it never saw it."""
        ...

    def cancel(self, order_id: str) -> Order:
        """Ask for a cancel; the order as it now stands. One that is still open may yet fill.

        A fill may also come after the order was told CANCELLED. `NotFound` for an id that it never saw.
        """
        ...

    def events(self, portfolio: str, cursor: str | None = None) -> Events:
        """What happened after `cursor`: at least once, in no order; everything for None.

        A cursor is opaque: one that an earlier answer gave, or the id of a fill that one told. `NotFound` for another.
        """
        ...

    def account(self, portfolio: str) -> VenueAccount:
        """Cash, buying power and positions as the venue sees them."""
        ...


class Venue(Protocol):
    """Where orders trade."""

    def capabilities(self) -> Capabilities: ...


class TradingVenue(Broker, Venue, Protocol):
    """A broker that says what its venue can do: what a portfolio trades at."""
