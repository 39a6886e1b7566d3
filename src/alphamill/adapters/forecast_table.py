"""Forecasts made before, looked up: the walk-forward panel behind the `Forecaster` port."""

import math
from collections.abc import Sequence

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, ModelSignature
from alphamill.errors import DataUnfit, ForecasterUnavailable, InvalidConfig, InvalidFeatures

_COLUMNS = ("symbol", "ts", "mean", "std")


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
        keys = zip(rows["symbol"].to_list(), rows["ts"].to_list(), strict=True)
        self._forecasts = {
            (symbol, ts): Forecast(symbol, ts, mean, std, signature.version)
            for (symbol, ts), mean, std in zip(keys, rows["mean"].to_list(), rows["std"].to_list(), strict=True)
        }

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> list[Forecast]:
        """One forecast per snapshot, by (symbol, ts).

        Raises
        ------
        InvalidFeatures
            A snapshot lacks a feature of the signature, or it is not finite: the model would refuse it too.
        ForecasterUnavailable
            The table has no forecast for that symbol and time.
        """
        for snapshot in snapshots:
            self._check_features(snapshot)
        try:
            return [self._forecasts[snapshot.symbol, snapshot.ts] for snapshot in snapshots]
        except KeyError as error:
            symbol, ts = error.args[0]
            raise ForecasterUnavailable(
                f"no forecast for {symbol} at {ts.isoformat()}.",
                field="ts",
                remedy="Ask within the out-of-sample window of the walk-forward run.",
            ) from error

    def _check_features(self, snapshot: FeatureSnapshot) -> None:
        values = snapshot.values
        for name in self._signature.features:
            if name not in values or not math.isfinite(values[name]):
                raise InvalidFeatures(
                    f"{name} of {snapshot.symbol} at {snapshot.ts.isoformat()} is {values.get(name, 'missing')}.",
                    field=name,
                    remedy=f"{self._signature.name} expects, in order: {', '.join(self._signature.features)}.",
                )


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in _COLUMNS if name not in frame.columns]
    if missing:
        raise InvalidConfig(f"the forecast table lacks {', '.join(missing)}.", field=missing[0])
    rows = frame.select("symbol", pl.col("ts").cast(UTC_TS), pl.col("mean", "std").cast(pl.Float64))
    sound = pl.col("mean").is_finite() & pl.col("std").is_finite() & (pl.col("std") > 0)
    bad = rows.filter(~sound.fill_null(value=False) | pl.any_horizontal(pl.col("symbol", "ts").is_null()))
    if not bad.is_empty():
        raise DataUnfit(f"a forecast is not usable: {bad.row(0, named=True)}.", field="mean")
    twice = rows.filter(rows.select("symbol", "ts").is_duplicated())
    if not twice.is_empty():
        raise DataUnfit(f"two forecasts for {twice['symbol'][0]} at {twice['ts'][0]}.", field="ts")
    return rows
