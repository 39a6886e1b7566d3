"""The product's own code behind the look-ahead check: features, labels and fits."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from alphamill.features import compute, forward_return, newest
from alphamill.features.history import BarHistory
from alphamill.training import Dataset, ModelParams, WalkForward, build_dataset, fit, predict

_EPOCHS: Final = 2


def feature_rows(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
    """Every registered feature, those of extensions included."""
    return compute(bars)


def newest_rows(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
    """What live computes at a cut; all rows when the bars go on after it."""
    closes_later = bars["ts"].max() > cut  # type: ignore[operator]
    return compute(bars) if closes_later else newest(BarHistory.from_bars(bars))


def label_rows(horizon_bars: int) -> Callable[[pl.DataFrame, dt.datetime], pl.DataFrame]:
    """Labels and their ends, as far as they say they are known at the cut."""

    def rows(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        known = pl.when(pl.col("label_end_ts") <= cut)
        return forward_return(bars, horizon_bars).with_columns(
            known.then(pl.col("label")).alias("label"), known.then(pl.col("label_end_ts")).alias("label_end_ts")
        )

    return rows


def training_set(bars: pl.DataFrame, features: Sequence[str], horizon_bars: int) -> Dataset:
    """The rows a model would be trained on."""
    rows = compute(bars, features).join(forward_return(bars, horizon_bars), on=["symbol", "ts"], validate="1:1")
    return build_dataset(rows, features, horizon_bars=horizon_bars)


@dataclass(frozen=True)
class Fits:
    """Refits of every fold: scaling statistics and forecasts must come from its training rows alone."""

    features: tuple[str, ...]
    horizon_bars: int
    folds: "dict[dt.datetime, tuple[pl.DataFrame, np.ndarray]]"
    seed: int

    @classmethod
    def of(cls, dataset: Dataset, windows: WalkForward, seed: int) -> "Fits":
        """Cut at the last close before each test window; training rows are remembered by symbol and ts."""
        keys = dataset.keys()
        folds = {}
        for fold in windows.split(dataset):
            first_test = keys["ts"][fold.test_rows].min()
            cut = keys.filter(pl.col("ts") < first_test)["ts"].max()
            folds[cut] = keys[fold.train_rows], dataset.x[fold.test_rows][:200]
        return cls(dataset.features, dataset.horizon_bars, folds, seed)  # type: ignore[arg-type]

    @property
    def cuts(self) -> list[dt.datetime]:
        return list(self.folds)

    def __call__(self, bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        train, tested = self.folds[cut]
        dataset = training_set(bars, self.features, self.horizon_bars)
        rows = dataset.keys().with_row_index().join(train, on=["symbol", "ts"], how="semi")["index"].to_numpy()
        params = ModelParams(architecture="linear", epochs=_EPOCHS)
        module = fit(dataset, rows.astype(np.int64), params, self.seed)
        mean, std = predict(module, tested)
        scales = pl.DataFrame(
            {
                "symbol": list(self.features),
                "feature mean": module.feature_mean.numpy().astype(np.float64),
                "feature std": module.feature_std.numpy().astype(np.float64),
                "label std": float(module.label_std),
            }
        )
        says = {"forecast mean": mean.astype(np.float64), "forecast std": std.astype(np.float64)}
        answers = pl.DataFrame({"symbol": [f"test row {i}" for i in range(len(tested))], **says})
        return pl.concat([scales, answers], how="diagonal").with_columns(
            pl.lit(cut).cast(bars.schema["ts"]).alias("ts")
        )
