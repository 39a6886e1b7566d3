"""`Lake` as Delta tables below one root."""

from collections.abc import Iterable

import polars as pl

from alphamill.adapters.delta.tables import StoreErrors, open_newest, read_frame, write_frame, write_parts


class DeltaLake:
    """One Delta table per name.

    Parameters
    ----------
    root
        A folder, or ``s3://bucket/path``; then endpoint and keys come from the ``AWS_*`` environment.

    Raises
    ------
    StoreUnavailable
        From every method: the table cannot be read or written.
    """

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, table: str, version: int | None = None) -> pl.DataFrame:
        """See `ports.Lake`."""
        return read_frame(self._uri(table), version)

    def write(self, table: str, frame: pl.DataFrame) -> int:
        """See `ports.Lake`; a writer that loses a race writes again, on top of the other's version."""
        return write_frame(self._uri(table), frame)

    def write_parts(self, table: str, schema: pl.Schema, parts: Iterable[pl.DataFrame]) -> int:
        """See `ports.Lake`; parts are taken one by one while those before are written. Another writer fails it."""
        return write_parts(self._uri(table), schema, parts)

    def version(self, table: str) -> int:
        """See `ports.Lake`."""
        uri = self._uri(table)
        with StoreErrors(uri):
            found = open_newest(uri)
        return -1 if found is None else int(found.version())

    def _uri(self, table: str) -> str:
        return f"{self._root}/{table}"
