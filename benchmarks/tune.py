"""Twenty trials of the hyperparameter search: Ray Tune with two actors on two cores, against a loop in one process.

The loop fits the very folds that the search fitted (a pruned trial stops where it was pruned) and logs the same runs,
one after the other. The search starts its own Ray and ends it: both are in its time. With as many rows as the demo has,
where a trial takes well under a second. One run.
"""

import os
import time
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command import main
from benchmarks.section import Aim, Row, Section, Table

TITLE = "Ray Tune"

PROSE = """
**Where the time goes.** Ray's start: its control store, its node manager, five Python processes of its own that each
import Ray (3.6 s of processor time together), and then one process per actor that imports Ray, our package and torch
(2 s each). That comes before the first trial, whatever the trials are. While the trial processes import torch, the
search is already recorded in MLflow. Actors are reused, so no later trial pays again. The end is for Ray to stop and
for its folder to be removed, and MLflow's records, which the loop has too.

**Where an aim is missed.** At the demo's size all trials together take less time in one process than Ray takes to
start. With five times as many rows, where a trial takes a second, the search took 28.3 s against 19.3 s in one process
(1.47x) in a run of the same day that is left out here for its time. The search is run on Ray all the same, as it is
the one that also joins a running cluster (`address` of `tune`), and then pays nothing of this.

**Next lever.** `ray.init` has no switch for the autoscaler, dashboard and log processes, which are most of its start.
One Ray kept between searches would save all of it, and hold its memory meanwhile.
"""


def measure(quick: bool) -> Section:
    import numpy as np

    from alphamill.adapters.mlflow.tracking import MlflowTracking

    sizes = {"tiny": (300, 1, 2)} if quick else {"the demo's size": (1_960, 5, 20)}
    rows, lines, checks = [], [], []
    with TemporaryDirectory(prefix="alphamill-bench-") as folder:
        tracking = MlflowTracking(f"sqlite:///{folder}/mlflow.db", Path(folder))
        with tracking.run("warm-up"):  # the database and MLflow's imports, for both
            pass
        for size, (sessions, symbols, trials) in sizes.items():
            dataset = _dataset(sessions, symbols)
            result, ray_secs, laps = _searched(dataset, tracking, trials)
            scores, loop_secs = _looped(dataset, tracking, result)
            assert scores == [trial.fold_nll for trial in result.trials], "the loop scored other folds than the search"
            rows.append(Row(f"{trials} trials, {size}", ray_secs, "s", "a loop in one process", loop_secs, Aim(1.3)))
            per_trial = loop_secs / trials
            folds = int(np.sum([len(fold_nll) for fold_nll in scores]))
            lines.append((size, f"{len(dataset):,}", f"{per_trial:.2f} s", f"{folds}", *(f"{s:.1f} s" for s in laps)))
            checks.append(f"{size}: all {folds} folds have the same score to the last bit in both.")
    header = ("size", "rows", "a trial in the loop", "folds fitted", "until the first trial", "trials", "to the end")
    return Section(rows, [Table("Where the search's time goes.", header, lines)], checks)


def _dataset(sessions: int, symbols: int) -> Any:
    import numpy as np
    import polars as pl

    from alphamill.features import MODEL_FEATURES
    from alphamill.training import build_dataset
    from benchmarks.market import bars

    rng = np.random.default_rng(0)
    frame = bars(symbols, sessions).select("symbol", "ts")
    x = rng.normal(size=(frame.height, len(MODEL_FEATURES)))
    label = 0.02 * (0.05 * x[:, 0] + rng.normal(size=frame.height))
    end = pl.col("ts").shift(-6).over("symbol")
    columns = [pl.Series(name, x[:, i]) for i, name in enumerate(MODEL_FEATURES)]
    keyed = frame.with_columns(pl.Series("label", label), end.alias("label_end_ts"), *columns).drop_nulls()
    return build_dataset(keyed.sort("ts", "symbol"), MODEL_FEATURES, horizon_bars=5, data_version="bars@0")


def _searched(dataset: Any, tracking: Any, trials: int) -> tuple[Any, float, tuple[float, float, float]]:
    """Result, seconds, and those until the first trial was over, until the last, and after it."""
    from alphamill.adapters.ray.tune import tune
    from alphamill.training.windows import tuning_windows

    over: list[float] = []
    start = time.perf_counter()
    result = tune(
        dataset,
        tuning_windows(dataset),
        tracking,
        n_trials=trials,
        max_concurrent=min(2, len(os.sched_getaffinity(0))),
        on_progress=lambda *_: over.append(time.perf_counter() - start),
    )
    secs = time.perf_counter() - start
    return result, secs, (over[0], over[-1] - over[0], secs - over[-1])


def _looped(dataset: Any, tracking: Any, result: Any) -> tuple[list[tuple[float, ...]], float]:
    """The same folds and the same records, in this process."""
    from alphamill.adapters.ray.tune import _log_trial
    from alphamill.training.trials import score_folds
    from alphamill.training.windows import tuning_windows

    start = time.perf_counter()
    scores = []
    with tracking.run("loop") as run_id:
        for trial in result.trials:
            folds = score_folds(dataset, trial.params, tuning_windows(dataset), 0)
            scores.append(tuple(islice(folds, len(trial.fold_nll))))
            _log_trial(tracking, run_id, trial, dataset)
    return scores, time.perf_counter() - start


if __name__ == "__main__":
    main("tune")
