"""Where tables of any columns are kept."""

from collections.abc import Iterable
from typing import Protocol

import polars as pl


class Lake(Protocol):
    """Versioned tables by name: what landed, the quarantine, features, training rows.

    Each write replaces the rows of a table and makes a version; older ones stay readable. Bars, which are merged by
    key, have a door of their own: `BarStore`.
    """

    def read(self, table: str, version: int | None = None) -> pl.DataFrame:
        """Rows of the newest or of a given version, as they were written; `NotFound` without such a version."""
        ...

    def write(self, table: str, frame: pl.DataFrame) -> int:
        """Replace the rows, whatever their columns; the new version."""
        ...

    def write_parts(self, table: str, schema: pl.Schema, parts: Iterable[pl.DataFrame]) -> int:
        """As `write` with the rows of all parts, one version; what is raised while a part is made commits nothing."""
        ...

    def version(self, table: str) -> int:
        """Newest version; -1 while the table does not exist."""
        ...
