"""Delta Lake tables by address: open, write as compare-and-swap, retry, and plain versioned frames."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import polars as pl

from alphamill import environment
from alphamill.errors import AlphamillError, NotFound, StoreUnavailable
from alphamill.secret_url import masked, without_secret

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

_T = TypeVar("_T")

#: A table is one commit log: a writer that loses the race reads again and tries again, so many times.
_ATTEMPTS: Final = 20
_COMPACTED_BYTES: Final = 32 * 1024 * 1024


def write_frame(uri: str, frame: pl.DataFrame) -> int:
    """Replace a table by `frame`, whatever its columns, and return the new version.

    Raises
    ------
    StoreUnavailable
        The table cannot be written.
    """

    def replace() -> int:
        table = open_newest(uri)
        if table is None:
            return create(uri, frame)
        write_rows(table, frame, mode="overwrite", schema_mode="overwrite")
        return int(table.version())

    return retried(uri, replace)


def write_parts(uri: str, schema: pl.Schema, parts: Iterable[pl.DataFrame]) -> int:
    """As `write_frame` with the rows of all parts, taken one by one while those before are written: one commit.

    Parameters
    ----------
    schema
        Of every part.

    Raises
    ------
    StoreUnavailable
        The table cannot be written, or another writer came between.
    AlphamillError
        As raised while a part was made. Nothing is committed then.
    """
    from pyarrow import RecordBatchReader  # type: ignore[import-untyped]  # pyarrow has no types

    failures: list[AlphamillError] = []

    def batches() -> Iterator[Any]:
        try:
            for part in parts:
                yield from _arrow(part).to_batches()
        except AlphamillError as error:
            # On its way through Arrow it would lose its class.
            failures.append(error)
            raise

    reader = RecordBatchReader.from_batches(_arrow(schema.to_frame()).schema, batches())
    with StoreErrors(uri):
        table = open_newest(uri)
        try:
            if table is None:
                return create(uri, reader)
            write_rows(table, reader, mode="overwrite", schema_mode="overwrite")
        except Exception:
            if failures:
                raise failures[0] from None
            raise
        return int(table.version())


def read_frame(uri: str, version: int | None = None) -> pl.DataFrame:
    """The rows of a table as they were written, of its newest or of a given version.

    Raises
    ------
    NotFound
        There is no table, or no such version.
    StoreUnavailable
        The table cannot be read.
    """
    with StoreErrors(uri):
        return pl.scan_delta(open_table(uri, version)).collect()


def compact(table: "DeltaTable") -> bool:
    """Make few files of many: a version of its own with the same rows. False if another writer came between."""
    from deltalake.exceptions import CommitFailedError

    try:
        table.optimize.compact(target_size=_COMPACTED_BYTES, commit_properties=compare_and_swap())
    except CommitFailedError:
        # The rows are committed; the next append compacts.
        table.update_incremental()
        return False
    return True


def create(uri: str, frame: Any) -> int:
    """Make the table with version 0, or fail: never add to one that somebody else made meanwhile."""
    from deltalake import write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    if "://" not in uri:
        Path(uri).mkdir(parents=True, exist_ok=True)
    try:
        write_deltalake(
            uri,
            frame,
            mode="error",
            storage_options=storage_options(uri),
            writer_properties=_encoding(frame),
            commit_properties=compare_and_swap(),
        )
    except DeltaError as error:
        if open_newest(uri) is None:
            raise
        raise CommitFailedError(f"{masked(uri)} was created by another writer") from error
    return 0


def write_rows(table: "DeltaTable", frame: Any, *, mode: str, schema_mode: str | None = None) -> None:
    """Commit rows on top of exactly the version that `table` holds; `CommitFailedError` if that is not the newest."""
    from deltalake import write_deltalake

    write_deltalake(
        table,
        frame,
        mode=mode,
        schema_mode=schema_mode,
        writer_properties=_encoding(frame),
        commit_properties=compare_and_swap(),
    )


def _encoding(frame: Any) -> Any:
    """Floats without a dictionary: hardly one comes twice, and trying costs as much time as all the rest."""
    from deltalake import ColumnProperties, WriterProperties

    schema = frame.schema if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame.schema.empty_table()).schema
    plain = {name: ColumnProperties(dictionary_enabled=False) for name, kind in schema.items() if kind.is_float()}
    return WriterProperties(compression="SNAPPY", column_properties=plain)


def _arrow(frame: pl.DataFrame) -> Any:
    """As Arrow types that every reader of Delta tables knows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def compare_and_swap() -> "CommitProperties":
    """No silent rebase: a commit holds only on top of the version that was read."""
    from deltalake import CommitProperties

    return CommitProperties(max_commit_retries=0)


def open_newest(uri: str) -> "DeltaTable | None":
    from deltalake import DeltaTable

    options = storage_options(uri)
    return DeltaTable(uri, storage_options=options) if DeltaTable.is_deltatable(uri, options) else None


def open_table(uri: str, version: int | None) -> "DeltaTable":
    table = open_newest(uri)
    newest = -1 if table is None else int(table.version())
    if table is None or (version is not None and not 0 <= version <= newest):
        raise NotFound(
            f"{masked(uri)} has no version {'at all' if version is None else version}; the newest is {newest}.",
            field="version",
        )
    if version is not None:
        table.load_as_version(version)
    return table


def storage_options(uri: str) -> dict[str, str]:
    """Credentials are read from ``AWS_*`` by the library; it only refuses plain http unless told."""
    endpoint = environment.read("AWS_ENDPOINT_URL_S3") or environment.read("AWS_ENDPOINT_URL") or ""
    if not uri.startswith("s3://") or not endpoint:
        return {}
    plain = {"AWS_ALLOW_HTTP": "true"} if endpoint.startswith("http://") else {}
    return {"AWS_ENDPOINT_URL": endpoint, **plain}


def retried(uri: str, commit: Callable[[], _T]) -> _T:
    """Run `commit` until it wins the race; it must read the newest version again each time."""
    from deltalake.exceptions import CommitFailedError

    with StoreErrors(uri):
        for _ in range(_ATTEMPTS - 1):
            try:
                return commit()
            except CommitFailedError:
                continue
        return commit()


class StoreErrors:
    """Turns what the storage layer raises into `StoreUnavailable`; errors of ours pass."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        from deltalake.exceptions import DeltaError

        if isinstance(error, DeltaError | OSError | pl.exceptions.PolarsError):
            cause = without_secret(error, self.uri)
            raise StoreUnavailable(
                f"{masked(self.uri)} cannot be used: {cause}.",
                remedy="Check that the folder or the object store is there and may be written.",
            ) from cause
