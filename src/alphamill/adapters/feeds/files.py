"""Bars from a folder of CSV and Parquet files."""

import datetime as dt
from pathlib import Path
from typing import Final

import polars as pl

from alphamill.adapters.feeds.columns import read_columns, to_raw_bars
from alphamill.adapters.feeds.sample import within
from alphamill.errors import InvalidConfig

_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")


class FolderFeed:
    """`MarketFeed` over all ``*.csv``, ``*.csv.gz`` and ``*.parquet`` files of one folder.

    Columns (any case and order): symbol, date, open, high, low, close, volume, and adj_close or
    price_factor. A symbol's history may be spread over files; where two files hold the same bar,
    the file that sorts last by name is the newer one. The whole folder is read before any cut by
    date, because a price factor compares with the session before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def source(self) -> str:
        return f"files:{self.folder.name}"

    def read(self, *, start: dt.date | None = None, until: dt.date | None = None) -> pl.DataFrame:
        """Bars of `RAW_BAR_SCHEMA` in [start, until], file by file; a cell that cannot be read is null.

        Raises
        ------
        InvalidConfig
            No folder, no file, an unreadable file, or one with missing columns; names the file.
        """
        groups: dict[tuple[str, ...], list[pl.DataFrame]] = {}
        order: dict[tuple[str, ...], list[int]] = {}
        for number, path in enumerate(self._files()):
            parsed = read_columns(_load(path), path.name)
            groups.setdefault(tuple(parsed.columns), []).append(parsed)
            order.setdefault(tuple(parsed.columns), []).extend([number] * parsed.height)
        # Files with the same columns share their histories; a file without factors never dilutes one that has them.
        bars = [to_raw_bars(pl.concat(groups[key])).with_columns(_file=pl.Series(order[key])) for key in groups]
        # File order decides which of two bars with one key is the newer.
        return within(pl.concat(bars).sort("_file", maintain_order=True).drop("_file"), start, until)

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise InvalidConfig(
                f"{self.folder} is no folder.", field="folder", remedy="Name one with bar files, or 'sample'."
            )
        files = sorted(path for path in self.folder.iterdir() if path.name.lower().endswith(_SUFFIXES))
        if not files:
            raise InvalidConfig(
                f"{self.folder} holds no bar files.",
                field="folder",
                remedy=f"Add files named *{', *'.join(_SUFFIXES)}.",
            )
        return files


def _load(path: Path) -> pl.DataFrame:
    try:
        if path.name.lower().endswith(".parquet"):
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidConfig(f"{path.name} cannot be read: {error}.", field=path.name) from error
