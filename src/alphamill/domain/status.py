"""What the trader says of a portfolio: whether it could trade now, and what stands in its way."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TradingStatus:
    """`reasons` is empty while the portfolio can trade; `bars_version` is the version of the bars table it has read."""

    portfolio: str
    at: dt.datetime
    holder: str
    reasons: tuple[str, ...]
    bars_version: int

    @property
    def tradable(self) -> bool:
        return not self.reasons
