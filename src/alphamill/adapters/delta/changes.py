"""What is different between two versions of a Delta table, read from the files that make the difference."""

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

import polars as pl

from alphamill.adapters.delta.tables import open_newest, open_table, storage_options
from alphamill.adapters.delta.tail import is_newest
from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, BAR_VALUES, empty_bars
from alphamill.errors import NotFound

if TYPE_CHECKING:
    from deltalake import DeltaTable


class Changes:
    """Follows a table: its newest version, and what differs between two, by their lists of files.

    It remembers the log and the list that it saw last.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = threading.Lock()
        self._table: DeltaTable | None = None
        self._seen: tuple[int, frozenset[str]] = (-1, frozenset())

    def version(self) -> int:
        """The newest version, -1 without a table. Of the log only commits after the last look are read."""
        with self._lock:
            if self._table is None:
                self._table = open_newest(self._uri)
            elif not is_newest(self._uri, int(self._table.version())):
                self._table.update_incremental()
            return -1 if self._table is None else int(self._table.version())

    def between(self, since: int, until: int) -> pl.DataFrame:
        """See `ports.BarStore.changes`. A file that both versions have is not opened."""
        with self._lock:
            before = self._files(since)
            after = self._files(until)
            self._seen = until, after
        rows = self._rows(after - before)
        gone = before - after
        if gone:
            rows = rows.join(self._rows(gone), on=[*BAR_KEY, *BAR_VALUES], how="anti")
        return rows.sort("ts", "symbol")

    def _files(self, version: int) -> frozenset[str]:
        if version == self._seen[0]:
            return self._seen[1]
        if version < 0:
            return frozenset()
        if self._table is None or version < self._table.version():
            self._table = open_table(self._uri, version)
        elif version > self._table.version():
            self._table.update_incremental()
            if version < self._table.version():
                self._table.load_as_version(version)
        if self._table.version() != version:
            raise NotFound(f"{self._uri} has no version {version}.", field="version")
        return frozenset(self._table.file_uris())

    def _rows(self, files: Collection[str]) -> pl.DataFrame:
        if not files:
            return empty_bars()
        frame = pl.scan_parquet(sorted(files), storage_options=storage_options(self._uri) or None)
        return frame.select(pl.col(name).cast(kind) for name, kind in BAR_SCHEMA.items()).collect()
