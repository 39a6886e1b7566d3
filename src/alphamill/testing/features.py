"""Features that live in memory, offline and online."""

import datetime as dt
from collections.abc import Sequence

import polars as pl

from alphamill.domain.features import FeatureSnapshot
from alphamill.errors import NotFound, StoreUnavailable
from alphamill.features.rows import check_rows, join_as_of, require_declared


class InMemoryOnlineFeatures:
    """`OnlineFeatures` with the rules of the real ones and nothing beneath them.

    Parameters
    ----------
    features
        Names it declares; rows must have them all.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self.features = tuple(features)
        self._rows: dict[str, FeatureSnapshot] = {}
        #: Set to False to see how code meets a store that is gone.
        self.available = True

    def write(self, rows: pl.DataFrame) -> None:
        """Write newest rows; an older row never overwrites a newer one."""
        self.put(check_rows(rows, self.features))

    def read(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; absent without a row or with a null among `features`."""
        require_declared(features, self.features)
        self._require_available()
        found = {}
        for symbol in symbols:
            row = self._rows.get(symbol)
            if row is not None and all(name in row.values for name in features):
                found[symbol] = FeatureSnapshot(symbol, row.ts, {name: row.values[name] for name in features})
        return found

    def put(self, rows: pl.DataFrame) -> int:
        """Take what is newer, or as new with other values; the number of rows that changed something."""
        self._require_available()
        written = 0
        for row in rows.group_by("symbol").agg(pl.all().sort_by("ts").last()).iter_rows(named=True):
            values = {name: row[name] for name in self.features if row[name] is not None}
            new = FeatureSnapshot(row["symbol"], row["ts"], values)
            old = self._rows.get(new.symbol)
            if values and (old is None or old.ts < new.ts or (old.ts == new.ts and old.values != values)):
                self._rows[new.symbol] = new
                written += 1
        return written

    def _require_available(self) -> None:
        if not self.available:
            raise StoreUnavailable("the online features are switched off.", remedy="Set available to True.")


class InMemoryOfflineFeatures:
    """`OfflineFeatures` whose newest rows go into the online features given."""

    def __init__(self, online: InMemoryOnlineFeatures) -> None:
        self._online = online
        self._rows: pl.DataFrame | None = None

    def write(self, rows: pl.DataFrame) -> None:
        """Replace the table."""
        self._rows = check_rows(rows, self._online.features)

    def materialize(self, *, until: dt.datetime) -> int:
        """Load the newest row per symbol up to `until`; rows that changed something."""
        return self._online.put(self._table().filter(pl.col("ts") <= until))

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join with the table."""
        require_declared(features, self._online.features)
        return join_as_of(entities, self._table(), features)

    def _table(self) -> pl.DataFrame:
        if self._rows is None:
            raise NotFound("no offline features.", remedy="Write offline features first.")
        return self._rows
