"""A feature store that lives in memory."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from alphamill.domain.features import FeatureSnapshot
from alphamill.errors import NotFound, StoreUnavailable
from alphamill.features.rows import check_rows, join_as_of, require_declared


class InMemoryFeatureStore:
    """`FeatureStore` with the rules of the real one and nothing beneath it.

    Parameters
    ----------
    features
        Names it declares; rows must have them all.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._features = tuple(features)
        self._offline: pl.DataFrame | None = None
        self._online: dict[str, FeatureSnapshot] = {}
        #: Set to False to see how code meets a store that is gone.
        self.available = True

    def write_offline(self, rows: pl.DataFrame) -> None:
        """Replace the offline table."""
        self._offline = check_rows(rows, self._features)

    def materialize(self, *, until: dt.datetime) -> int:
        """Load the newest offline row per symbol up to `until`; rows that changed something."""
        return self._put(self._table().filter(pl.col("ts") <= until))

    def write_online(self, rows: pl.DataFrame) -> None:
        """Write newest rows; an older row never overwrites a newer one."""
        self._put(check_rows(rows, self._features))

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; absent without a row or with a null among `features`."""
        require_declared(features, self._features)
        self._require_available()
        found = {}
        for symbol in symbols:
            row = self._online.get(symbol)
            if row is not None and all(name in row.values for name in features):
                found[symbol] = FeatureSnapshot(symbol, row.ts, {name: row.values[name] for name in features})
        return found

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join with the offline table."""
        require_declared(features, self._features)
        return join_as_of(entities, self._table(), features)

    def _put(self, rows: pl.DataFrame) -> int:
        self._require_available()
        written = 0
        for row in rows.group_by("symbol").agg(pl.all().sort_by("ts").last()).iter_rows(named=True):
            values = {name: row[name] for name in self._features if row[name] is not None}
            new = FeatureSnapshot(row["symbol"], row["ts"], values)
            old = self._online.get(new.symbol)
            if values and (old is None or old.ts < new.ts or (old.ts == new.ts and old.values != values)):
                self._online[new.symbol] = new
                written += 1
        return written

    def _table(self) -> pl.DataFrame:
        if self._offline is None:
            raise NotFound("no offline features.", remedy="Run write_offline first.")
        return self._offline

    def _require_available(self) -> None:
        if not self.available:
            raise StoreUnavailable("the feature store is switched off.", remedy="Set available to True.")
