"""`OnlineFeatures` of the backtest: a table of all rows, read as if time stood where the clock says."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.features import FEATURE_KEY, FeatureSnapshot
from alphamill.features.rows import check_rows, require_declared
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


class _Block:
    """All series end to end, so that the newest rows of many symbols are found together."""

    def __init__(self, series: Mapping[str, _Series], features: int) -> None:
        sizes = [one.ts.size for one in series.values()]
        self.stops = np.cumsum(sizes, dtype=np.int64)
        self.starts = self.stops - np.array(sizes, dtype=np.int64)
        self.place = {symbol: i for i, symbol in enumerate(series)}
        self.ts = np.concatenate([np.empty(0, dtype=np.int64), *(one.ts for one in series.values())])
        self.values = np.concatenate([np.empty((0, features)), *(one.values for one in series.values())])

    def newest(self, symbols: Sequence[str], now: int) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Those of `symbols` that have a row at or before `now`, and where the newest of these stands."""
        known = [symbol for symbol in symbols if symbol in self.place]
        places = np.array([self.place[symbol] for symbol in known], dtype=np.int64)
        starts = self.starts[places]
        low, high = starts, self.stops[places]
        while (low < high).any():  # a binary search per symbol, all at once; low == high is done
            middle = (low + high) // 2
            past = (low < high) & (self.ts[np.minimum(middle, self.ts.size - 1)] <= now)
            low, high = np.where(past, middle + 1, low), np.where(past, high, middle)
        found = low > starts
        return [symbol for symbol, there in zip(known, found.tolist(), strict=True) if there], low[found] - 1


class FeatureTable:
    """All rows in memory; `read` answers the newest one not after the clock's time.

    Parameters
    ----------
    rows
        As `alphamill.features.compute` gives them; the features are the columns after symbol and ts.
    clock
        What "online" means: rows after its time do not exist yet.
    """

    def __init__(self, rows: pl.DataFrame, clock: Clock) -> None:
        self._clock = clock
        names = [name for name in rows.columns if name not in FEATURE_KEY]
        rows = check_rows(rows, names).sort("symbol", "ts")
        self._features = tuple(names)
        self._column = {name: i for i, name in enumerate(names)}
        runs = rows["symbol"].rle().struct
        stops = runs.field("len").cum_sum().to_list()
        ts, values = rows["ts"].to_physical().to_numpy(), _values(rows, names)
        self._series = {
            symbol: _Series(ts[start:stop], values[start:stop])
            for symbol, start, stop in zip(runs.field("value").to_list(), [0, *stops], stops, strict=False)
        }
        self._block: _Block | None = None

    def write(self, rows: pl.DataFrame) -> None:
        """Replace a row of the same ts or append a newest one; others are ignored."""
        rows = check_rows(rows, self._features).sort("ts")
        values = _values(rows, self._features)
        for i, (symbol, ts) in enumerate(zip(rows["symbol"], rows["ts"].to_physical(), strict=True)):
            empty = _Series(np.empty(0, dtype=np.int64), np.empty((0, len(self._features))))
            self._series.setdefault(symbol, empty).put(ts, values[i])
        self._block = None

    def read(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol as of the clock's time; absent without a row or with a null."""
        require_declared(features, self._features)
        if self._block is None:
            self._block = _Block(self._series, len(self._features))
        found, at = self._block.newest(symbols, _micros(self._clock.now()))
        values = self._block.values[at][:, [self._column[name] for name in features]]
        whole = ~np.isnan(values).any(axis=1)
        times = [_EPOCH + dt.timedelta(microseconds=micros) for micros in self._block.ts[at].tolist()]
        return {
            symbol: FeatureSnapshot(symbol, ts, dict(zip(features, row, strict=True)))
            for symbol, ts, row, complete in zip(found, times, values.tolist(), whole.tolist(), strict=True)
            if complete
        }


def _values(rows: pl.DataFrame, features: Sequence[str]) -> npt.NDArray[np.float64]:
    return rows.select(pl.col(list(features)).fill_null(float("nan"))).to_numpy(writable=True)


def _micros(at: dt.datetime) -> int:
    return (at - _EPOCH) // _MICRO
