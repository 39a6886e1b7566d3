"""The newest sessions of a Delta table, kept in memory by the process that appends them."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from alphamill.domain.bars import empty_bars

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: Sessions that are kept when old ones are dropped, which happens when there are so many times the newest rows.
_KEPT: Final = 4
_MANY: Final = 12


@dataclass(frozen=True, slots=True)
class Tail:
    """All rows of `version` whose session is `since` or later; nothing is said about older ones."""

    version: int
    since: dt.date
    rows: pl.DataFrame

    @classmethod
    def behind(cls, table: "DeltaTable") -> "Tail | None":
        """The empty tail after the newest session of a table; None where its files do not tell their newest."""
        files = pl.DataFrame(table.get_add_actions(flatten=True))
        newest = files["max.session"] if "max.session" in files.columns else pl.Series([None])
        if newest.null_count() or files.is_empty():
            return None
        return cls(int(table.version()), max(newest) + dt.timedelta(days=1), empty_bars())

    def covers(self, version: int, start: dt.date | None) -> bool:
        """Whether it holds all rows of `version` from the session `start` on."""
        return version == self.version and start is not None and start >= self.since

    def known(self, first: dt.datetime, last: dt.datetime) -> pl.DataFrame:
        """Rows with `ts` in [first, last]."""
        if self.rows.is_empty() or first > self.rows["ts"].max():  # type: ignore[operator]
            return self.rows.clear()
        return self.rows.filter(pl.col("ts").is_between(first, last))

    def grown(self, version: int, new: pl.DataFrame) -> "Tail":
        """The tail after rows of new keys were appended."""
        rows = pl.concat([self.rows, new.filter(pl.col("session") >= self.since)])
        since = self.since
        if rows.height > _MANY * max(new.height, 1):
            since = rows["session"].unique().sort()[-_KEPT:][0]
            rows = rows.filter(pl.col("session") >= since)
        return Tail(version, since, rows)


def is_newest(uri: str, version: int) -> bool:
    """Whether a look into the folder shows that `version` is the newest; False where that cannot be seen.

    Commits are files numbered without a gap: the table has moved when the next number exists.
    """
    if "://" in uri:
        return False
    log = Path(uri) / "_delta_log"
    return (log / f"{version:020}.json").exists() and not (log / f"{version + 1:020}.json").exists()
