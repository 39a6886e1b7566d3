"""Walk-forward splits by session: train on the past, leave a gap, test on what follows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alphamill.errors import InvalidConfig
from alphamill.training.dataset import Dataset, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Positions of training and test rows in the data set, ascending. `index` counts from 0."""

    index: int
    train_rows: IntArray
    test_rows: IntArray


@dataclass(frozen=True, slots=True)
class WalkForward:
    """Consecutive test windows at the end of the sample, each with its own training window before it.

    A row is trained on only if its session lies at least `purge_bars + embargo_bars` sessions before the first
    test session AND its label ended before that session's close. The second condition matters for a symbol with
    missing sessions, whose label reaches further than the horizon says.
    Purging and embargo after López de Prado (2018), *Advances in Financial Machine Learning*, chapter 7.

    Attributes
    ----------
    n_folds
        Number of test windows; they are disjoint, adjoining and in order of time.
    purge_bars
        At least the label's horizon + 1: a label decided at close t ends at open t + 1 + horizon.
    test_sessions
        Length of a test window; None takes sessions // (n_folds + 1).
    train_sessions
        Length of a training window; None trains on everything before (expanding).
    embargo_bars
        Further sessions left out between training and test, against serial correlation of the features.
    """

    n_folds: int
    purge_bars: int
    test_sessions: int | None = None
    train_sessions: int | None = None
    embargo_bars: int = 0

    def __post_init__(self) -> None:
        least = {"n_folds": 1, "purge_bars": 1, "test_sessions": 1, "train_sessions": 1, "embargo_bars": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise InvalidConfig(f"{name} must be at least {minimum}, got {value}.", field=name)

    def split(self, dataset: Dataset) -> list[Fold]:
        """All folds of `dataset`.

        Raises
        ------
        InvalidConfig
            The purge is shorter than horizon + 1, or the sample is too short for these folds.
        """
        if self.purge_bars < dataset.horizon_bars + 1:
            raise InvalidConfig(
                f"purge_bars {self.purge_bars} is less than horizon + 1 = {dataset.horizon_bars + 1}: "
                "training labels would reach into the test window.",
                field="purge_bars",
                remedy=f"Set purge_bars to {dataset.horizon_bars + 1} or more.",
            )
        return [self._fold(dataset, index, start, stop) for index, (start, stop) in enumerate(self._windows(dataset))]

    def _windows(self, dataset: Dataset) -> Iterator[tuple[int, int]]:
        if not len(dataset):
            raise InvalidConfig("the data set has no row to split.", field="n_folds", remedy="Load a longer history.")
        first, last = int(dataset.session.min()), int(dataset.session.max())
        length = self.test_sessions or (last - first + 1) // (self.n_folds + 1)
        for fold in range(self.n_folds, 0, -1):
            stop = last + 1 - (fold - 1) * length
            yield stop - length, stop

    def _fold(self, dataset: Dataset, index: int, start: int, stop: int) -> Fold:
        session = dataset.session
        test = (session >= start) & (session < stop)
        until = start - self.purge_bars - self.embargo_bars
        since = int(session.min()) if self.train_sessions is None else until - self.train_sessions
        train = (session >= since) & (session < until)
        if test.any():
            train &= dataset.label_end < dataset.ts[test].min()
        too_short = self.train_sessions is not None and since < int(session.min())
        if not test.any() or not train.any() or too_short:
            span = int(session.max()) - int(session.min()) + 1
            raise InvalidConfig(
                f"fold {index} has {int(train.sum())} training and {int(test.sum())} test rows: "
                f"{span} sessions are too few for {self}.",
                field="n_folds",
                remedy="Load a longer history, or take fewer folds, shorter windows or a shorter purge.",
            )
        return Fold(index, np.flatnonzero(train), np.flatnonzero(test))
