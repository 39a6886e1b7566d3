"""Where bars are kept, and who lives on closed ones."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import polars as pl

from alphamill.domain.session_bars import SessionBars


class BarStore(Protocol):
    """A versioned table of `BAR_SCHEMA`, one row per (symbol, ts)."""

    def append(self, bars: pl.DataFrame) -> int:
        """Merge by key and return the table's version. The same bars again change nothing."""
        ...

    def read(
        self,
        *,
        symbols: Sequence[str] | None = None,
        start: dt.date | None = None,
        until: dt.date | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Rows sorted by (symbol, ts); sessions in [start, until]; `NotFound` for an unknown version."""
        ...

    def version(self) -> int:
        """Newest version; -1 while the table does not exist."""
        ...

    def changes(self, since: int, until: int) -> pl.DataFrame:
        """Rows of version `until` that are new or have other `BAR_VALUES` than in `since` (-1: before the first).

        Sorted by (ts, symbol); `NotFound` for an unknown version. Its cost is that of what was written in between.
        """
        ...

    def tidy(self) -> None:
        """Put in order what many appends have left, rows unchanged. Takes its time: call it when nothing waits."""
        ...


class BarJournal(Protocol):
    """Durable landing of accepted bars before they are acknowledged; one commit per batch."""

    def append(self, bars: pl.DataFrame) -> None: ...

    def pending(self) -> pl.DataFrame:
        """Bars not yet marked merged, `BAR_SCHEMA`, newest write per key, sorted by (ts, symbol)."""
        ...

    def mark_merged(self, bars: pl.DataFrame) -> None:
        """These bars, and what they replaced, are in the table.

        A newer write of the same keys that another process has merged meanwhile is pending again: these older values
        may stand over it now.
        """
        ...

    def prune(self, keep_sessions: int) -> int:
        """Delete merged bars of all but the newest `keep_sessions` sessions; the rows deleted."""
        ...


class BarListener(Protocol):
    """Something that lives on closed bars beside the trader, e.g. the paper broker's matching."""

    def on_bars(self, bars: SessionBars) -> None:
        """All bars of one session, before any decision of that session."""
        ...
