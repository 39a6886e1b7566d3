"""Out-of-sample forecasts: refit per fold, forecast what the fit has not seen. This module imports torch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from alphamill.training.dataset import Dataset, Float32Array
from alphamill.training.fitting import fit, predict
from alphamill.training.params import ModelParams
from alphamill.training.splits import Fold, WalkForward


@dataclass(frozen=True, slots=True, eq=False)
class FoldForecast:
    """Mean and std (float32, shape (n_test,)) of one fold's test rows."""

    fold: Fold
    mean: Float32Array
    std: Float32Array


def fold_forecasts(dataset: Dataset, params: ModelParams, splits: WalkForward, seed: int) -> Iterator[FoldForecast]:
    """One refit after the other, lazily, so that a caller can stop after any fold."""
    for fold in splits.split(dataset):
        module = fit(dataset, fold.train_rows, params, seed)
        mean, std = predict(module, dataset.x[fold.test_rows])
        yield FoldForecast(fold, mean, std)


def walk_forward_forecasts(dataset: Dataset, params: ModelParams, splits: WalkForward, seed: int) -> pl.DataFrame:
    """Forecasts of every test row, each by a model fitted on its fold's training window alone.

    Returns
    -------
    DataFrame
        symbol, ts, mean, std, label (Float64, fractions), fold (Int64); sorted by (ts, symbol); no nulls.
        float32 forecasts are widened, not rounded.

    Raises
    ------
    InvalidConfig, DataUnfit
        As `WalkForward.split` and `fit`.
    """
    parts = []
    for forecast in fold_forecasts(dataset, params, splits, seed):
        tested = dataset.take(forecast.fold.test_rows)
        parts.append(
            tested.keys().with_columns(
                mean=pl.Series(forecast.mean.astype(np.float64)),
                std=pl.Series(forecast.std.astype(np.float64)),
                label=pl.Series(tested.y.astype(np.float64)),
                fold=pl.lit(forecast.fold.index, dtype=pl.Int64),
            )
        )
    return pl.concat(parts).sort("ts", "symbol")


def gaussian_nll(mean: Float32Array, std: Float32Array, label: Float32Array) -> float:
    """Mean negative log likelihood of `label` under N(mean, std), nats per row; arrays of shape (n,).

    ln(std) + ln(2 pi) / 2 + ((label - mean) / std)^2 / 2: a strictly proper score (Gneiting and Raftery 2007).
    """
    m, s, y = (np.asarray(values, dtype=np.float64) for values in (mean, std, label))
    return float(np.mean(np.log(s) + 0.5 * np.log(2.0 * np.pi) + 0.5 * ((y - m) / s) ** 2))
