"""Where bars come from."""

import datetime as dt
from typing import Protocol

import polars as pl


class MarketFeed(Protocol):
    """A source of raw daily bars."""

    @property
    def source(self) -> str:
        """Name written into every bar's `source` column."""
        ...

    def read(self, *, start: dt.date | None = None, until: dt.date | None = None) -> pl.DataFrame:
        """Bars of `RAW_BAR_SCHEMA` for sessions in [start, until], as the source has them: unchecked."""
        ...
