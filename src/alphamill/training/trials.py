"""What a hyper-parameter search tried, and how one configuration is judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from alphamill.errors import DataUnfit
from alphamill.training.dataset import Dataset
from alphamill.training.params import ModelParams
from alphamill.training.splits import WalkForward

TrialStatus = Literal["completed", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried. `fold_nll` has one value per finished fold, nats per row."""

    number: int
    params: ModelParams
    status: TrialStatus
    fold_nll: tuple[float, ...]
    error: str = ""

    @property
    def nll(self) -> float:
        """Mean over the finished folds; infinite if there is none. Compare only completed trials by it."""
        return float(np.mean(self.fold_nll)) if self.fold_nll else float("inf")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search found. `trials` holds every trial in order, pruned and failed ones too."""

    best: Trial
    trials: tuple[Trial, ...]
    run_id: str

    def table(self) -> pl.DataFrame:
        """One row per trial: trial, status, nll, folds, error, then one column per parameter."""
        return pl.DataFrame([_row(trial) for trial in self.trials], infer_schema_length=None)


def best_of(trials: tuple[Trial, ...]) -> Trial:
    """The completed trial of the lowest `nll`, the earlier of two equal ones.

    Raises
    ------
    DataUnfit
        None completed; names the first reason.
    """
    completed = [trial for trial in trials if trial.status == "completed"]
    if not completed:
        raise DataUnfit(
            f"none of {len(trials)} trials completed; the first failed with: {trials[0].error}",
            field="space",
            remedy="Mend the data or narrow the space.",
        )
    return min(completed, key=lambda trial: (trial.nll, trial.number))


def score_folds(dataset: Dataset, params: ModelParams, splits: WalkForward, seed: int) -> Iterator[float]:
    """Out-of-sample negative log likelihood of one fold after the other, nats per row."""
    from alphamill.training.forecasts import fold_forecasts, gaussian_nll

    for forecast in fold_forecasts(dataset, params, splits, seed):
        yield gaussian_nll(forecast.mean, forecast.std, dataset.y[forecast.fold.test_rows])


def _row(trial: Trial) -> dict[str, Any]:
    params = trial.params.model_dump() | {"hidden": list(trial.params.hidden)}
    score = trial.nll if trial.fold_nll else None
    return {
        "trial": trial.number,
        "status": trial.status,
        "nll": score,
        "folds": len(trial.fold_nll),
        "error": trial.error,
        **params,
    }
