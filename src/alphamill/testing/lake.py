"""`Lake` in memory: same rules, no files."""

from collections.abc import Iterable

import polars as pl

from alphamill.errors import NotFound


class InMemoryLake:
    """Keeps every version of every table as a frame."""

    def __init__(self) -> None:
        self._tables: dict[str, list[pl.DataFrame]] = {}

    def read(self, table: str, version: int | None = None) -> pl.DataFrame:
        """Rows of the newest or of a given version; `NotFound` without such a version."""
        newest = self.version(table)
        if newest < 0 or (version is not None and not 0 <= version <= newest):
            raise NotFound(f"{table} has no version {version}; the newest is {newest}.", field="version")
        return self._tables[table][newest if version is None else version]

    def write(self, table: str, frame: pl.DataFrame) -> int:
        """Replace the rows; the new version."""
        self._tables.setdefault(table, []).append(frame)
        return self.version(table)

    def write_parts(self, table: str, schema: pl.Schema, parts: Iterable[pl.DataFrame]) -> int:
        """As `write` with the rows of all parts."""
        return self.write(table, pl.concat([schema.to_frame(), *parts]))

    def version(self, table: str) -> int:
        """Newest version; -1 while the table does not exist."""
        return len(self._tables.get(table, ())) - 1
