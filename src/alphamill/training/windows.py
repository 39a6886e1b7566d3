"""Which sessions tune, which judge: the two never overlap."""

import math
from typing import Final

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.training.dataset import Dataset
from alphamill.training.splits import WalkForward

#: Share of the sessions, the oldest, on which configurations are compared; the rest only judges the winner.
TUNE_SHARE: Final = 0.6
EVALUATION_FOLDS: Final = 5
TUNE_FOLDS: Final = 3
#: Sessions left out besides the purge, against serial correlation of the features.
EMBARGO_BARS: Final = 5


def evaluation_windows(dataset: Dataset) -> WalkForward:
    """Adjoining test windows over the newest sessions; each is forecast by a model refitted on all before it."""
    sessions = int(dataset.session.max()) - int(dataset.session.min()) + 1
    test = math.floor(sessions * (1 - TUNE_SHARE) / EVALUATION_FOLDS)
    return WalkForward(EVALUATION_FOLDS, dataset.horizon_bars + 1, test_sessions=test, embargo_bars=EMBARGO_BARS)


def tuning_windows(dataset: Dataset) -> WalkForward:
    """Walk forward inside the rows that tuning may see."""
    return WalkForward(TUNE_FOLDS, dataset.horizon_bars + 1, embargo_bars=EMBARGO_BARS)


def tuning_rows(dataset: Dataset) -> Dataset:
    """Rows whose label had ended before the first session that judges."""
    first_test = evaluation_windows(dataset).split(dataset)[0].test_rows
    return dataset.known_before(pl.Series([int(dataset.ts[first_test].min())]).cast(UTC_TS)[0])
