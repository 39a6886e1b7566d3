"""`BarStore` as a versioned Delta Lake table, in a folder or behind an S3 API."""

import datetime as dt
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from alphamill.adapters.delta.changes import Changes
from alphamill.adapters.delta.tables import (
    StoreErrors,
    compact,
    compare_and_swap,
    create,
    open_newest,
    open_table,
    retried,
    write_rows,
)
from alphamill.adapters.delta.tail import Tail, is_newest
from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, BAR_VALUES, empty_bars, require_schema

if TYPE_CHECKING:
    from deltalake import DeltaTable

#: Each append adds a file and each read opens them all; above this many `tidy` makes few of them.
_MAX_FILES: Final = 64
#: Above this many nobody tidies, and `append` does.
_TOO_MANY_FILES: Final = 256


class DeltaBarStore:
    """`BarStore` in one Delta table, sorted by (ts, symbol) within each file.

    Every commit is a compare-and-swap on the version that was read, so two writers can never both
    insert one key. Above 64 files `tidy` compacts the table: that is a version of its own, with
    the same rows. Old versions stay readable as long as nobody vacuums the table.

    What it appended last it also remembers, with the version it belongs to: to read the newest sessions of exactly
    that version, and to see that bars are new, no file is opened.

    Parameters
    ----------
    uri
        A folder, or ``s3://bucket/path``; then endpoint and keys come from the ``AWS_*`` environment.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._table: DeltaTable | None = None
        # One handle holds one version; another thread must not move it between our read and our commit.
        self._appending = threading.Lock()
        self._tail: Tail | None = None
        self._changes = Changes(uri)

    def append(self, bars: pl.DataFrame) -> int:
        """Merge by (symbol, ts) and return the table's version.

        Only new bars and bars whose `BAR_VALUES` changed are written; without any, no version is
        made. Of several rows with one key the last counts. Cost: reads only files whose statistics
        overlap the batch's range of ts.

        Raises
        ------
        InvalidInput
            The frame is not `BAR_SCHEMA`.
        StoreUnavailable
            The table cannot be read or written, or other writers won the race 20 times.
        """
        rows = require_schema(bars, BAR_SCHEMA, "bars").unique(BAR_KEY, keep="last", maintain_order=True)
        with self._appending:
            return retried(self.uri, lambda: self._append_once(rows))

    def read(
        self,
        *,
        symbols: Sequence[str] | None = None,
        start: dt.date | None = None,
        until: dt.date | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Rows of `BAR_SCHEMA` sorted by (symbol, ts); sessions in [start, until].

        Raises
        ------
        NotFound
            The version does not exist. A table without any version reads as empty.
        StoreUnavailable
            The table cannot be read.
        """
        newest = self.version() if version is None else version
        if newest < 0 and version is None:
            return empty_bars()
        with StoreErrors(self.uri):
            tail = self._tail
            near = tail is not None and tail.covers(newest, start)
            wanted = tail.rows.lazy() if tail and near else pl.scan_delta(open_table(self.uri, version))
            if symbols is not None:
                wanted = wanted.filter(pl.col("symbol").is_in(list(symbols)))
            if start is not None:
                wanted = wanted.filter(pl.col("session") >= start)
            if until is not None:
                wanted = wanted.filter(pl.col("session") <= until)
            return wanted.sort(BAR_KEY[0], BAR_KEY[1]).select(BAR_SCHEMA.names()).collect()

    def version(self) -> int:
        """Newest version; -1 while the table does not exist."""
        tail = self._tail
        if tail is not None and is_newest(self.uri, tail.version):
            return tail.version
        with StoreErrors(self.uri):
            return self._changes.version()

    def changes(self, since: int, until: int) -> pl.DataFrame:
        """Rows of `until` that `since` does not have so, sorted by (ts, symbol); reads only files that differ.

        Raises
        ------
        NotFound
            A version does not exist.
        StoreUnavailable
            The table cannot be read.
        """
        with StoreErrors(self.uri):
            return self._changes.between(since, until)

    def tidy(self) -> None:
        """Compact a table of many files, in a fraction of a second as a rule; appends wait for it.

        Raises
        ------
        StoreUnavailable
            The table cannot be read or written.
        """
        with self._appending, StoreErrors(self.uri):
            table = self._newest()
            if table is None:
                return
            if self._tail is None or self._tail.version != table.version():
                self._tail = Tail.behind(table)
            self._compact(table, _MAX_FILES)

    def _newest(self) -> "DeltaTable | None":
        if self._table is None:
            self._table = open_newest(self.uri)
        elif not is_newest(self.uri, int(self._table.version())):
            self._table.update_incremental()
        return self._table

    def _append_once(self, rows: pl.DataFrame) -> int:
        table = self._newest()
        if table is None:
            return -1 if rows.is_empty() else create(self.uri, rows.sort("ts", "symbol"))
        if self._tail is None or self._tail.version != table.version():
            self._tail = Tail.behind(table)
        changed, corrects = _differing(self._known(table, rows), rows)
        if changed.is_empty():
            return int(table.version())
        if corrects:
            _merge(table, changed)
            self._tail = None
        else:
            write_rows(table, changed, mode="append")
            self._tail = self._tail and self._tail.grown(int(table.version()), changed)
        self._compact(table, _TOO_MANY_FILES)
        return int(table.version())

    def _compact(self, table: "DeltaTable", files: int) -> None:
        """Make few files of more than `files`; another writer who comes between leaves it for the next time."""
        if len(table.file_uris()) > files and compact(table) and self._tail is not None:
            # The same rows under another number.
            self._tail = replace(self._tail, version=int(table.version()))

    def _known(self, table: "DeltaTable", rows: pl.DataFrame) -> pl.DataFrame:
        """The table's rows within the range of `rows`."""
        first, last = rows["ts"].min(), rows["ts"].max()
        if self._tail is not None and self._tail.covers(int(table.version()), rows["session"].min()):  # type: ignore[arg-type]
            return self._tail.known(first, last)  # type: ignore[arg-type]
        return pl.scan_delta(table).filter(pl.col("ts").is_between(first, last)).select(*BAR_KEY, *BAR_VALUES).collect()


def _differing(known: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Rows that are new or differ from the known ones, sorted; and whether any of them replaces a bar."""
    if known.is_empty():
        return rows.sort("ts", "symbol"), False
    before = known.select(*BAR_KEY, *(pl.col(name).alias(f"_{name}") for name in BAR_VALUES), _known=pl.lit(True))
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"_{name}")) for name in BAR_VALUES)
    joined = rows.join(before, on=list(BAR_KEY), how="left").filter(pl.col("_known").is_null() | differs)
    return joined.select(BAR_SCHEMA.names()).sort("ts", "symbol"), bool(joined["_known"].any())


def _merge(table: "DeltaTable", changed: pl.DataFrame) -> None:
    # The range lets the merge skip files by their statistics.
    low, high = (moment.isoformat(sep=" ") for moment in (changed["ts"][0], changed["ts"][-1]))
    (
        table.merge(
            changed,
            predicate=f"t.symbol = s.symbol AND t.ts = s.ts AND t.ts >= '{low}' AND t.ts <= '{high}'",
            source_alias="s",
            target_alias="t",
            commit_properties=compare_and_swap(),
        )
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
