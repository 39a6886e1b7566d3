"""`BarStore` in memory: same rules, no files."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, BAR_VALUES, empty_bars, require_schema
from alphamill.errors import NotFound


class InMemoryBarStore:
    """Keeps every version as a frame; version n is the table after the n-th append that changed it."""

    def __init__(self) -> None:
        self._versions: list[pl.DataFrame] = []

    def append(self, bars: pl.DataFrame) -> int:
        """Merge by (symbol, ts); unchanged bars keep their row, and an append of only such makes no version."""
        rows = require_schema(bars, BAR_SCHEMA, "bars").unique(BAR_KEY, keep="last")
        table = self._versions[-1] if self._versions else empty_bars()
        changed = rows.join(table, on=[*BAR_KEY, *BAR_VALUES], how="anti")
        if not changed.is_empty():
            kept = table.join(changed, on=list(BAR_KEY), how="anti")
            self._versions.append(pl.concat([kept, changed]).sort(BAR_KEY))
        return self.version()

    def read(
        self,
        *,
        symbols: Sequence[str] | None = None,
        start: dt.date | None = None,
        until: dt.date | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Rows sorted by (symbol, ts); `NotFound` for an unknown version."""
        if version is not None and not 0 <= version < len(self._versions):
            raise NotFound(f"there is no version {version}; the newest is {self.version()}.", field="version")
        if not self._versions:
            return empty_bars()
        rows = self._versions[-1 if version is None else version]
        if symbols is not None:
            rows = rows.filter(pl.col("symbol").is_in(list(symbols)))
        if start is not None:
            rows = rows.filter(pl.col("session") >= start)
        if until is not None:
            rows = rows.filter(pl.col("session") <= until)
        return rows

    def version(self) -> int:
        """Newest version; -1 before the first append."""
        return len(self._versions) - 1

    def changes(self, since: int, until: int) -> pl.DataFrame:
        """Rows of `until` that `since` does not have so; sorted by (ts, symbol)."""
        before = self.read(version=since) if since >= 0 else empty_bars()
        rows = self.read(version=until).join(before, on=[*BAR_KEY, *BAR_VALUES], how="anti")
        return rows.sort("ts", "symbol")

    def tidy(self) -> None:
        """A list of frames is in order already."""
