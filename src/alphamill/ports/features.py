"""Where features are kept, for training and for trading."""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

import polars as pl

from alphamill.domain.features import FeatureSnapshot


class FeatureStore(Protocol):
    """Features for training (offline, point in time) and for trading (online, by name)."""

    def write_offline(self, rows: pl.DataFrame) -> None:
        """Replace the offline table by `rows`: symbol, ts, then one Float64 column per feature."""
        ...

    def materialize(self, *, until: dt.datetime) -> int:
        """Load the newest offline row per symbol up to `until` into the online store; rows written."""
        ...

    def write_online(self, rows: pl.DataFrame) -> None:
        """Write newest rows; an older row never overwrites a newer one."""
        ...

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol. A symbol without a row, or with a null among `features`, is absent."""
        ...

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join: for each (symbol, ts) of `entities` the newest row not after ts."""
        ...
