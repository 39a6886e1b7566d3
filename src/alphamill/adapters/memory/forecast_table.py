"""Forecasts made before, looked up: the walk-forward panel behind the `Forecaster` port."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.domain.signature import feature_matrix
from alphamill.errors import DataUnfit, ForecasterUnavailable, InvalidConfig

_COLUMNS = ("symbol", "ts", "mean", "std")
FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


class ForecastTable:
    """The `Forecaster` port over a frame of out-of-sample forecasts.

    Parameters
    ----------
    frame
        symbol, ts (UTC), mean and std (fractions over the horizon); one row per (symbol, ts).
        Further columns are ignored, so `training.walk_forward_forecasts` fits as it is.
    signature
        What the models behind the forecasts were trained on. Snapshots must carry its features.

    Raises
    ------
    InvalidConfig
        A column is missing.
    DataUnfit
        A null, a value that is not finite, a std not above zero, or a (symbol, ts) twice.
    """

    def __init__(self, frame: pl.DataFrame, signature: ModelSignature) -> None:
        rows = _checked(frame)
        self._signature = signature
        self._symbols = rows["symbol"]
        self._means, self._stds = rows["mean"].to_numpy(), rows["std"].to_numpy()
        runs = rows["ts"].rle().struct
        ends = runs.field("len").cum_sum().to_list()
        times = runs.field("value").to_list()
        self._slices = dict(zip(times, map(slice, [0, *ends], ends), strict=False))
        self._rows_at: tuple[dt.datetime | None, dict[str, int]] = (None, {})

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        """One row per snapshot, by (symbol, ts), under the signature of the table.

        Raises
        ------
        InvalidFeatures
            A snapshot lacks a feature of the signature, or it is not a finite float32: the model would refuse it too.
        ForecasterUnavailable
            The table has no forecast for that symbol and time.
        """
        for snapshot in snapshots:
            self._check_features(snapshot)
        return Forecasts(self._signature, tuple(self._forecast(asked.symbol, asked.ts) for asked in snapshots))

    def _forecast(self, symbol: str, ts: dt.datetime) -> Forecast:
        if self._rows_at[0] != ts:
            here = self._slices.get(ts, slice(0, 0))
            self._rows_at = ts, dict(zip(self._symbols[here].to_list(), range(here.start, here.stop), strict=True))
        row = self._rows_at[1].get(symbol)
        if row is None:
            raise ForecasterUnavailable(
                f"no forecast for {symbol} at {ts.isoformat()}.",
                field="ts",
                remedy="Ask within the out-of-sample window of the walk-forward run.",
            )
        return Forecast(symbol, ts, self._means.item(row), self._stds.item(row), self._signature.version)

    def _check_features(self, snapshot: FeatureSnapshot) -> None:
        values = snapshot.values
        for name in self._signature.features:
            if not abs(values.get(name, math.nan)) <= FLOAT32_MAX:
                feature_matrix(self._signature, [snapshot])  # raises, and says what is wrong


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows that may be asked for, sorted by time and symbol."""
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidConfig(f"the forecast table lacks {', '.join(missing)}.", field=missing[0])
    rows = frame.select("symbol", pl.col("ts").cast(UTC_TS), pl.col("mean", "std").cast(pl.Float64))
    sound = pl.col("mean").is_finite() & pl.col("std").is_finite() & (pl.col("std") > 0)
    bad = rows.filter(~sound.fill_null(value=False) | pl.any_horizontal(pl.col("symbol", "ts").is_null()))
    if not bad.is_empty():
        raise DataUnfit(f"a forecast is not usable: {bad.row(0, named=True)}.", field="mean")
    rows = rows.sort("ts", "symbol")
    twice = rows.filter((pl.col("ts") == pl.col("ts").shift()) & (pl.col("symbol") == pl.col("symbol").shift()))
    if not twice.is_empty():
        raise DataUnfit(f"two forecasts for {twice['symbol'][0]} at {twice['ts'][0]}.", field="ts")
    return rows
