"""What time it is."""

import datetime as dt
from typing import Protocol


class Clock(Protocol):
    """Time, always UTC with zone. Backtest and replay advance it by bars."""

    def now(self) -> dt.datetime: ...
