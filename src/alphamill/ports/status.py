"""Where the trader says how its portfolios stand, for everybody who asks another process."""

from typing import Protocol

from alphamill.domain.status import TradingStatus


class StatusBoard(Protocol):
    """The newest word of the trader on each portfolio. Losing it loses nothing: the next round says it again."""

    def post(self, status: TradingStatus) -> None: ...

    def read(self, portfolio: str) -> TradingStatus | None:
        """None where no trader has ever spoken of it."""
        ...
