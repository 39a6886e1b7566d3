"""Where features are kept: offline for training, online for trading."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import polars as pl

from alphamill.domain.features import FeatureSnapshot


class OfflineFeatures(Protocol):
    """Every row of every feature, as known at its time."""

    def write(self, rows: pl.DataFrame) -> None:
        """Replace the table by `rows`: symbol, ts, then one Float64 column per feature."""
        ...

    def materialize(self, *, until: dt.datetime) -> int:
        """Load the newest row per symbol up to `until` into the online store that belongs to it; rows written."""
        ...

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join: for each (symbol, ts) of `entities` the newest row not after ts."""
        ...


class OnlineFeatures(Protocol):
    """The newest row of each symbol, by name."""

    def write(self, rows: pl.DataFrame) -> None:
        """Write newest rows; an older row never overwrites a newer one."""
        ...

    def read(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol. A symbol without a row, or with a null among `features`, is absent."""
        ...
