"""Notifiers without a person at the other end."""


class InMemoryNotifier:
    """Keeps every message in `sent`, as (title, body), in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def notify(self, title: str, body: str) -> None:
        self.sent.append((title, body))
