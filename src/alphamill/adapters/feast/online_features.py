"""`OnlineFeatures` on Redis, in Feast's own layout: Feast's client is too slow on the trading path.

Several processes may read and write at once. Threads take turns where they write.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from alphamill.adapters.feast.redis import Floats, Micros
from alphamill.adapters.feast.repo import FeastRepo
from alphamill.domain.features import FeatureSnapshot
from alphamill.features.rows import check_rows

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class OnlineRows(NamedTuple):
    """One row per symbol: `ts` [n] in microseconds, `values` [n, k] in the order of the declared features."""

    symbols: list[str]
    ts: Micros
    values: Floats


class FeastOnlineFeatures:
    """The newest row of each symbol, by name."""

    def __init__(self, repo: FeastRepo) -> None:
        self._repo = repo

    def write(self, rows: pl.DataFrame) -> None:
        """Write rows that are newer than Redis has, or as new with other values.

        Rows without any value are left out. Not atomic between processes: of two writers at the
        same moment the later one wins.
        """
        with self._repo.turn:
            rows = check_rows(rows, self._repo.features())
            if rows["symbol"].n_unique() < rows.height:
                rows = rows.group_by("symbol").agg(pl.all().sort_by("ts").last())
            self.put(self.newer(rows))

    def read(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; a symbol without a row or with a null among `features` is absent.

        Raises
        ------
        InvalidFeatures
            A name is not declared.
        StoreUnavailable
            Redis does not answer. It is asked again at the next call.
        """
        self._repo.require(features)
        with self._repo.redis_errors():
            online = self._repo.redis.read(symbols, features)
        times = {micros: _EPOCH + dt.timedelta(microseconds=micros) for micros in set(online.ts.tolist())}
        known = (online.ts > 0) & ~np.isnan(online.values).any(axis=1)
        rows = zip(symbols, known.tolist(), online.ts.tolist(), online.values.tolist(), strict=True)
        return {
            symbol: FeatureSnapshot(symbol, times[micros], dict(zip(features, values, strict=True)))
            for symbol, complete, micros, values in rows
            if complete
        }

    def newer(self, rows: pl.DataFrame) -> OnlineRows:
        """Of one row per symbol, those that are newer than the online row, or as new but different."""
        names = self._repo.features()
        symbols, ts = rows["symbol"].to_list(), rows["ts"].to_physical().to_numpy()
        values = np.column_stack([rows.get_column(name).to_numpy() for name in names])  # a null becomes NaN
        with self._repo.redis_errors():
            online = self._repo.redis.read(symbols, names)
        differs = (values != online.values) & ~(np.isnan(values) & np.isnan(online.values))
        wanted = (ts > online.ts) | ((ts == online.ts) & differs.any(axis=1))
        wanted &= ~np.isnan(values).all(axis=1)
        return OnlineRows(
            [symbol for symbol, keep in zip(symbols, wanted, strict=True) if keep], ts[wanted], values[wanted]
        )

    def put(self, rows: OnlineRows) -> None:
        """Write what `newer` gave."""
        if rows.symbols:
            with self._repo.redis_errors():
                self._repo.redis.write(rows.symbols, rows.ts, self._repo.features(), rows.values)
