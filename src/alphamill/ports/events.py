"""What wakes readers."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol


class EventBus(Protocol):
    """Wakes readers. Losing an event loses no data: readers recover from the journal and the ledger."""

    def subscribe(self, topic: str, handler: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Register before `start`."""
        ...

    async def start(self) -> None: ...

    async def publish(self, topic: str, message: dict[str, Any]) -> None:
        """`EventBusUnavailable` when the bus cannot take it."""
        ...

    async def stop(self) -> None: ...
