"""Who tells a person."""

from typing import Protocol


class Notifier(Protocol):
    """Tells a person."""

    def notify(self, title: str, body: str) -> None:
        """Never raises into the trading path: a failed notification is logged and counted."""
        ...
