"""The real training path on the synthetic market: bars, features, labels, purged folds, refits, forecasts."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from alphamill.errors import DataUnfit
from alphamill.proofs.lookahead_probes import training_set
from alphamill.proofs.synthetic_market import SyntheticMarket, market_with_signal
from alphamill.training import Dataset, ModelParams, walk_forward_forecasts
from alphamill.training.windows import evaluation_windows

HORIZON: Final = 5
#: `volume_zscore_21` carries all of the signal, `ret_1` nothing. Neither has a memory, so that theory says what
#: learning their weights costs; with slow features (rsi_14, ret_21) it costs more than is known in closed form.
FEATURES: Final = ("volume_zscore_21", "ret_1")
ZSCORE_BARS: Final = 21
PARAMS: Final = ModelParams(batch_size=2048, epochs=8)


@dataclass(frozen=True, slots=True)
class Size:
    """Of one market."""

    names: int
    sessions: int


def market(size: Size, signal_ic: float, seed: int) -> SyntheticMarket:
    return market_with_signal(size.names, size.sessions, seed=seed, signal_ic=signal_ic, horizon_bars=HORIZON)


def rows_of(bars: pl.DataFrame) -> Dataset:
    """The rows that the pipeline would train on."""
    return training_set(bars, FEATURES, HORIZON)


def forecasts(dataset: Dataset, seed: int, params: ModelParams = PARAMS) -> pl.DataFrame:
    """Out-of-sample forecasts as the evaluate step makes them: refitted for every window."""
    return walk_forward_forecasts(dataset, params, evaluation_windows(dataset), seed)


def training_rows(dataset: Dataset) -> float:
    """How many rows a window's model is fitted on, as the harmonic mean over windows: errors go with 1 / rows."""
    sizes = [len(fold.train_rows) for fold in evaluation_windows(dataset).split(dataset)]
    return len(sizes) / sum(1.0 / size for size in sizes)


def with_labels_of_other_names(dataset: Dataset, seed: int) -> Dataset:
    """Each name gets the labels of another one, the same one on every day.

    Names of the synthetic market are independent, so nothing is left to learn; but labels overlap in time as before,
    which shuffling day by day would destroy.

    Raises
    ------
    DataUnfit
        Names do not share their days.
    """
    names = len(dataset.symbols)
    counts = np.unique(dataset.ts, return_counts=True)[1]
    if (counts != names).any():
        raise DataUnfit("names do not share their days.", field="ts", remedy="Take a market without holes.")
    # Rows are sorted by (ts, symbol): one line per day.
    label, end = dataset.y.reshape(-1, names), dataset.label_end.reshape(-1, names)
    drawn = np.random.default_rng(seed).permutation(names)
    given = np.empty(names, dtype=np.int64)
    # Around one circle through all names: none keeps its own.
    given[drawn] = np.roll(drawn, 1)
    return replace(dataset, y=label[:, given].ravel(), label_end=end[:, given].ravel())
