"""Bars and plain frames as versioned Delta Lake tables, in a folder or behind an S3 API."""

import datetime as dt
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, BAR_VALUES, empty_bars
from alphamill.domain.frames import require_schema
from alphamill.errors import NotFound, StoreUnavailable

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

_T = TypeVar("_T")

#: A table is one commit log: a writer that loses the race reads again and tries again, so many times.
_ATTEMPTS: Final = 20
#: Each append adds a file and each read opens them all; above this many they are merged into few.
_MAX_FILES: Final = 64
_COMPACTED_BYTES: Final = 32 * 1024 * 1024


class DeltaBarStore:
    """`BarStore` in one Delta table, sorted by (ts, symbol) within each file.

    Every commit is a compare-and-swap on the version that was read, so two writers can never both
    insert one key. Every 64 files the store compacts itself: that is a version of its own, with
    the same rows. Old versions stay readable as long as nobody vacuums the table.

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
            return _retried(self.uri, lambda: self._append_once(rows))

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
        if version is None and self.version() < 0:
            return empty_bars()
        with _StoreErrors(self.uri):
            table = _open(self.uri, version)
            wanted = pl.scan_delta(table)
            if symbols is not None:
                wanted = wanted.filter(pl.col("symbol").is_in(list(symbols)))
            if start is not None:
                wanted = wanted.filter(pl.col("session") >= start)
            if until is not None:
                wanted = wanted.filter(pl.col("session") <= until)
            return wanted.sort(BAR_KEY[0], BAR_KEY[1]).select(BAR_SCHEMA.names()).collect()

    def version(self) -> int:
        """Newest version; -1 while the table does not exist."""
        with _StoreErrors(self.uri):
            table = _open_newest(self.uri)
            return -1 if table is None else int(table.version())

    def _newest(self) -> "DeltaTable | None":
        if self._table is None:
            self._table = _open_newest(self.uri)
        else:
            self._table.update_incremental()
        return self._table

    def _append_once(self, rows: pl.DataFrame) -> int:
        table = self._newest()
        if table is None:
            if not rows.is_empty():
                _write(self.uri, rows.sort("ts", "symbol"), mode="append")
            return 0 if not rows.is_empty() else -1
        changed, corrects = _changes(table, rows)
        if changed.is_empty():
            return int(table.version())
        if corrects:
            _merge(table, changed)
        else:
            _write(table, changed, mode="append")
        if len(table.file_uris()) > _MAX_FILES:
            _compact(table)
        return int(table.version())


def write_frame(uri: str, frame: pl.DataFrame) -> int:
    """Replace a table by `frame`, whatever its columns, and return the new version.

    Raises
    ------
    StoreUnavailable
        The table cannot be written.
    """

    def replace() -> int:
        _write(uri, frame, mode="overwrite", schema_mode="overwrite")
        return int(_open(uri, None).version())

    return _retried(uri, replace)


def read_frame(uri: str, version: int | None = None) -> pl.DataFrame:
    """The rows of a table as they were written, of its newest or of a given version.

    Raises
    ------
    NotFound
        There is no table, or no such version.
    StoreUnavailable
        The table cannot be read.
    """
    with _StoreErrors(uri):
        return pl.scan_delta(_open(uri, version)).collect()


def _changes(table: "DeltaTable", rows: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Rows that are new or differ from the table, sorted; and whether any of them replaces a bar."""
    known = (
        pl.scan_delta(table)
        .filter(pl.col("ts").is_between(rows["ts"].min(), rows["ts"].max()))
        .select(*BAR_KEY, *(pl.col(name).alias(f"_{name}") for name in BAR_VALUES), pl.lit(True).alias("_known"))
        .collect()
    )
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"_{name}")) for name in BAR_VALUES)
    joined = rows.join(known, on=list(BAR_KEY), how="left").filter(pl.col("_known").is_null() | differs)
    return joined.select(BAR_SCHEMA.names()).sort("ts", "symbol"), joined["_known"].any()


def _merge(table: "DeltaTable", changed: pl.DataFrame) -> None:
    # The range lets the merge skip files by their statistics.
    low, high = (moment.isoformat(sep=" ") for moment in (changed["ts"][0], changed["ts"][-1]))
    (
        table.merge(
            changed,
            predicate=f"t.symbol = s.symbol AND t.ts = s.ts AND t.ts >= '{low}' AND t.ts <= '{high}'",
            source_alias="s",
            target_alias="t",
            commit_properties=_swap(),
        )
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )


def _compact(table: "DeltaTable") -> None:
    from deltalake.exceptions import CommitFailedError

    try:
        table.optimize.compact(target_size=_COMPACTED_BYTES, commit_properties=_swap())
    except CommitFailedError:
        # Another writer came between. The rows are committed; the next append compacts.
        table.update_incremental()


def _write(target: "str | DeltaTable", frame: pl.DataFrame, *, mode: str, schema_mode: str | None = None) -> None:
    from deltalake import write_deltalake

    options = _storage_options(target) if isinstance(target, str) else None
    if isinstance(target, str) and "://" not in target:
        Path(target).mkdir(parents=True, exist_ok=True)
    write_deltalake(
        target, frame, mode=mode, schema_mode=schema_mode, storage_options=options, commit_properties=_swap()
    )


def _swap() -> "CommitProperties":
    """No silent rebase: a commit holds only on top of the version that was read."""
    from deltalake import CommitProperties

    return CommitProperties(max_commit_retries=0)


def _open_newest(uri: str) -> "DeltaTable | None":
    from deltalake import DeltaTable

    options = _storage_options(uri)
    return DeltaTable(uri, storage_options=options) if DeltaTable.is_deltatable(uri, options) else None


def _open(uri: str, version: int | None) -> "DeltaTable":
    table = _open_newest(uri)
    newest = -1 if table is None else int(table.version())
    if table is None or (version is not None and not 0 <= version <= newest):
        raise NotFound(
            f"{uri} has no version {'at all' if version is None else version}; the newest is {newest}.",
            field="version",
        )
    if version is not None:
        table.load_as_version(version)
    return table


def _storage_options(uri: str) -> dict[str, str]:
    """Credentials are read from ``AWS_*`` by the library; it only refuses plain http unless told."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    if not uri.startswith("s3://") or not endpoint:
        return {}
    plain = {"AWS_ALLOW_HTTP": "true"} if endpoint.startswith("http://") else {}
    return {"AWS_ENDPOINT_URL": endpoint, **plain}


def _retried(uri: str, commit: Callable[[], _T]) -> _T:
    from deltalake.exceptions import CommitFailedError

    for _ in range(_ATTEMPTS - 1):
        try:
            with _StoreErrors(uri):
                return commit()
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, CommitFailedError):
                raise
    with _StoreErrors(uri):
        return commit()


class _StoreErrors:
    """Turns what the storage layer raises into `StoreUnavailable`; errors of ours pass."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        from deltalake.exceptions import DeltaError

        if isinstance(error, DeltaError | OSError | pl.exceptions.PolarsError):
            raise StoreUnavailable(
                f"{self.uri} cannot be used: {error}.",
                remedy="Check that the folder or the object store is there and may be written.",
            ) from error
