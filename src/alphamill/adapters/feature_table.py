"""`FeatureStore` of the backtest: an offline feature table read as if it were online."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.adapters.feature_rows import check_rows, join_as_of, require_declared
from alphamill.domain.features import FEATURE_KEY, FeatureSnapshot
from alphamill.ports import Clock

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO: Final = dt.timedelta(microseconds=1)


class _Series:
    """Rows of one symbol: ts int64 [n] ascending, values float64 [n, features] with NaN for null."""

    __slots__ = ("ts", "values")

    def __init__(self, ts: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> None:
        self.ts, self.values = ts, values

    def put(self, ts: int, values: npt.NDArray[np.float64]) -> None:
        at = int(np.searchsorted(self.ts, ts))
        if at < self.ts.size and self.ts[at] == ts:
            self.values[at] = values
        elif at == self.ts.size:
            self.ts = np.append(self.ts, ts)
            self.values = np.concatenate([self.values, values[None]])


class FeatureTable:
    """All rows in memory; `read_online` answers the newest one not after the clock's time.

    Parameters
    ----------
    rows
        As `alphamill.features.compute` gives them.
    clock
        What "online" means: rows after its time do not exist yet.
    """

    def __init__(self, rows: pl.DataFrame, clock: Clock) -> None:
        self._clock = clock
        self.write_offline(rows)

    def write_offline(self, rows: pl.DataFrame) -> None:
        """Replace all rows; the features are the columns after symbol and ts."""
        names = [name for name in rows.columns if name not in FEATURE_KEY]
        rows = check_rows(rows, names).sort("symbol", "ts")
        self._features = tuple(names)
        self._column = {name: i for i, name in enumerate(names)}
        self._series = {
            str(symbol): _Series(group["ts"].to_physical().to_numpy(), _values(group, names))
            for (symbol,), group in rows.partition_by("symbol", as_dict=True).items()
        }

    def materialize(self, *, until: dt.datetime) -> int:
        """Nothing to load: the number of symbols with a row up to `until`."""
        return sum(bool(s.ts.size and s.ts[0] <= _micros(until)) for s in self._series.values())

    def write_online(self, rows: pl.DataFrame) -> None:
        """Replace a row of the same ts or append a newest one; others are ignored."""
        rows = check_rows(rows, self._features).sort("ts")
        values = _values(rows, self._features)
        for i, (symbol, ts) in enumerate(zip(rows["symbol"], rows["ts"].to_physical(), strict=True)):
            empty = _Series(np.empty(0, dtype=np.int64), np.empty((0, len(self._features))))
            self._series.setdefault(symbol, empty).put(ts, values[i])

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol as of the clock's time; absent without a row or with a null."""
        require_declared(features, self._features)
        now = _micros(self._clock.now())
        columns = [self._column[name] for name in features]
        found = {}
        for symbol in symbols:
            series = self._series.get(symbol)
            at = int(np.searchsorted(series.ts, now, side="right")) - 1 if series else -1
            if series is None or at < 0:
                continue
            values = series.values[at, columns]
            if not np.isnan(values).any():
                ts = _EPOCH + dt.timedelta(microseconds=int(series.ts[at]))
                found[symbol] = FeatureSnapshot(symbol, ts, dict(zip(features, values.tolist(), strict=True)))
        return found

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join over all rows, whatever the clock says: entities carry their own times."""
        require_declared(features, self._features)
        return join_as_of(entities, self._frame(), features)

    def _frame(self) -> pl.DataFrame:
        schema = {**FEATURE_KEY, **dict.fromkeys(self._features, pl.Float64())}
        frames = [pl.DataFrame(schema=schema)]
        for symbol, series in self._series.items():
            key = pl.DataFrame({"symbol": [symbol] * series.ts.size, "ts": series.ts}, schema_overrides=FEATURE_KEY)
            values = pl.from_numpy(series.values, schema=list(self._features))
            frames.append(key.hstack(values.fill_nan(None)))
        return pl.concat(frames)


def _values(rows: pl.DataFrame, features: Sequence[str]) -> npt.NDArray[np.float64]:
    return rows.select(pl.col(list(features)).fill_null(float("nan"))).to_numpy(writable=True)


def _micros(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICRO
