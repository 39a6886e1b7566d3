"""`Notifier` that tells nobody."""


class SilentNotifier:
    """Tells nobody: a backtest has no person to wake."""

    def notify(self, title: str, body: str) -> None:
        """Nothing happens."""
