"""Hyperparameter search with Ray Tune: ASHA over walk-forward folds, every trial logged in MLflow.

The objective is the mean out-of-sample Gaussian negative log likelihood over the folds, in nats per row. It judges
mean AND standard deviation, both of which size positions; it is strictly proper; and with few symbols a daily
RankIC is so noisy (2 sigma of about .03 for 6 names over 1,000 days) that choosing by it would be choosing noise.
After each fold the mean so far is reported, and ASHA may stop the trial there.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alphamill.adapters.ray.session import ray_session, warm_up
from alphamill.errors import AlphamillError, DataUnfit, InvalidConfig
from alphamill.ports.search import OnProgress
from alphamill.ports.tracking import RunStatus, Tracking
from alphamill.training import Dataset, ModelParams, ParamSpace, WalkForward
from alphamill.training.trials import SearchResult, Trial, TrialStatus, best_of, score_folds

_RUN_STATUS: dict[TrialStatus, RunStatus] = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


def tune(
    dataset: Dataset,
    splits: WalkForward,
    tracking: Tracking,
    *,
    space: ParamSpace | None = None,
    n_trials: int = 12,
    seed: int = 0,
    max_concurrent: int = 2,
    reduction_factor: int = 2,
    parent_run: str | None = None,
    address: str | None = None,
    on_progress: OnProgress | None = None,
) -> SearchResult:
    """Try `n_trials` configurations of `space` and return all of them with the best.

    The same data, arguments and machine give the same configurations, fold scores, prunings and winner: the
    configurations come from the seed, fits are bit-exact, and verdicts do not depend on which process was faster
    (see `repeatable_asha`). A different `max_concurrent` above 2 may prune other trials.

    Parameters
    ----------
    max_concurrent
        Trials at a time, each on one CPU thread.
    reduction_factor
        After a fold a trial goes on if it is among the best 1/reduction_factor of those before it.
    parent_run
        MLflow run to log the trials under; None opens a run "tune" and closes it.
    address
        A running Ray cluster; None starts Ray on this machine for the length of the call, see `ray_session`.
    on_progress
        Called with (trials over, n_trials) from this thread.

    Raises
    ------
    InvalidConfig
        The folds do not fit the data, an architecture is unknown, or a number is not positive.
    DataUnfit
        Every trial failed; names the first reason.
    """
    chosen = (space or ParamSpace()).sample(n_trials, seed)
    task = _task(dataset, splits, chosen, seed)
    for name, value in (("n_trials", n_trials), ("max_concurrent", max_concurrent)):
        if value < 1:
            raise InvalidConfig(f"{name} must be at least 1, got {value}.", field=name)
    if reduction_factor < 2:
        raise InvalidConfig(f"reduction_factor must be at least 2, got {reduction_factor}.", field="reduction_factor")
    progress = _Progress(n_trials, on_progress)
    with contextlib.ExitStack() as stack:
        with ray_session(address, max_concurrent), _own_code_by_value(task.builders):
            # MLflow's imports and the first runs are done here while the trial processes import torch.
            warm_up(_import_training, min(max_concurrent, n_trials))
            tags = {"alphamill.data_version": dataset.data_version}
            run_id = parent_run or stack.enter_context(tracking.run("tune", tags=tags))
            _log_search(tracking, run_id, dataset, splits, n_trials, seed)
            trials = _search(task, chosen, max_concurrent, reduction_factor, progress.step)
        for trial in trials:
            _log_trial(tracking, run_id, trial, dataset)
        best = best_of(trials)
        tracking.log(run_id, metrics={"best_nll": best.nll}, tags={"alphamill.best_trial": str(best.number)})
    return SearchResult(best, trials, run_id)


class RaySearch:
    """The `Search` port on Ray; the trials of one search take turns on the processes of this machine.

    Parameters
    ----------
    tracking
        Every trial becomes a run there, under one for the search.
    """

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking

    def run(
        self,
        dataset: Dataset,
        splits: WalkForward,
        *,
        space: ParamSpace,
        trials: int,
        seed: int,
        on_progress: OnProgress | None = None,
    ) -> SearchResult:
        """See `tune`."""
        return tune(dataset, splits, self._tracking, space=space, n_trials=trials, seed=seed, on_progress=on_progress)


@dataclass(frozen=True, slots=True)
class _Task:
    """What travels to the trial processes besides the configuration."""

    dataset: Dataset
    splits: WalkForward
    seed: int
    builders: dict[str, Any]


@contextlib.contextmanager
def _own_code_by_value(builders: Mapping[str, Any]) -> Iterator[None]:
    """Networks of extensions travel as code: the trial processes have not imported the extension."""
    from ray import cloudpickle

    modules = {sys.modules[build.__module__] for build in builders.values()}
    own = [module for module in modules if not module.__name__.startswith("alphamill.")]
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in own:
            cloudpickle.unregister_pickle_by_value(module)


class _Progress:
    def __init__(self, total: int, callback: OnProgress | None) -> None:
        self._done, self._total, self._callback = 0, total, callback

    def __reduce__(self) -> tuple[Any, ...]:
        """Ray pickles the search for its records; the callback (a progress bar with its lock) stays out of them."""
        return (_Progress, (self._total, None))

    def step(self) -> None:
        self._done += 1
        if self._callback is not None:
            self._callback(self._done, self._total)


def _task(dataset: Dataset, splits: WalkForward, chosen: list[ModelParams], seed: int) -> _Task:
    """Everything a caller can get wrong is found here, before Ray costs ten seconds."""
    from alphamill.training.models import build_network, builder

    splits.split(dataset)
    for params in chosen:
        build_network(len(dataset.features), params)
    names = {params.architecture for params in chosen}
    return _Task(dataset, splits, seed, {name: builder(name) for name in sorted(names)})


def _run_trial(config: dict[str, Any], task: _Task) -> None:
    """Runs in a Ray actor. An error of ours is reported, not raised: raising would cost the actor's restart."""
    from ray import tune as ray_tune

    from alphamill.training.models import adopt

    adopt(task.builders)
    scores: list[float] = []
    try:
        for score in score_folds(task.dataset, ModelParams(**config["params"]), task.splits, task.seed):
            scores.append(score)
            ray_tune.report({"nll": float(np.mean(scores)), "fold_nll": list(scores)})
    except AlphamillError as error:
        ray_tune.report({"failure": f"{type(error).__name__}: {error}", "fold_nll": list(scores)})


def _import_training() -> None:
    """What a trial needs; runs in a process of Ray's."""
    import alphamill.training.fitting  # noqa: F401


def _search(
    task: _Task, chosen: list[ModelParams], max_concurrent: int, reduction_factor: int, on_over: Callable[[], None]
) -> tuple[Trial, ...]:
    from ray import tune as ray_tune

    from alphamill.adapters.ray.asha import OrderedSearch, RepeatableASHA

    window = max(3, max_concurrent + 1)
    folds = task.splits.n_folds
    configs = [{"number": number, "params": params.model_dump()} for number, params in enumerate(chosen)]
    with tempfile.TemporaryDirectory(prefix="alphamill-tune-") as folder:
        grid = ray_tune.Tuner(
            ray_tune.with_resources(ray_tune.with_parameters(_run_trial, task=task), {"cpu": 1}),
            tune_config=ray_tune.TuneConfig(
                metric="nll",
                mode="min",
                num_samples=len(chosen),
                max_concurrent_trials=max_concurrent,
                reuse_actors=True,
                search_alg=OrderedSearch(configs, window),
                scheduler=RepeatableASHA(
                    window=window, folds=folds, reduction_factor=reduction_factor, on_over=on_over
                ),
            ),
            run_config=ray_tune.RunConfig(storage_path=folder, name="tune", verbose=0),
        ).fit()
        trials = [_to_trial(result, folds) for result in grid]
    if len(trials) != len(chosen):
        raise DataUnfit(f"Ray ran {len(trials)} of {len(chosen)} trials.", remedy="Look at Ray's logs.")
    return tuple(sorted(trials, key=lambda trial: trial.number))


def _to_trial(result: Any, folds: int) -> Trial:
    metrics = result.metrics or {}
    scores = tuple(metrics.get("fold_nll", ()))
    error = metrics.get("failure", "") if result.error is None else _reason(result.error)
    status: TrialStatus = "failed" if error else "completed" if len(scores) == folds else "pruned"
    return Trial(result.config["number"], ModelParams(**result.config["params"]), status, scores, error)


def _reason(error: BaseException) -> str:
    """The last line of what the trial raised, without the traceback through Ray."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _log_search(
    tracking: Tracking, run_id: str, dataset: Dataset, splits: WalkForward, n_trials: int, seed: int
) -> None:
    folds = {f"splits.{name}": getattr(splits, name) for name in WalkForward.__slots__}
    rows = {"rows": len(dataset), "features": list(dataset.features), "horizon_bars": dataset.horizon_bars}
    tracking.log(
        run_id,
        params={"n_trials": n_trials, "seed": seed, **folds, **rows},
        tags={"alphamill.data_version": dataset.data_version},
    )


def _log_trial(tracking: Tracking, parent: str, trial: Trial, dataset: Dataset) -> None:
    tags = {"alphamill.status": trial.status, "alphamill.data_version": dataset.data_version}
    if trial.error:
        tags["alphamill.error"] = trial.error
    run_id = tracking.start(f"trial-{trial.number:03d}", parent=parent, tags=tags)
    scored = {"nll": trial.nll} if trial.fold_nll else {}
    tracking.log(
        run_id,
        params=trial.params.model_dump(mode="json"),
        metrics=scored | {"folds": len(trial.fold_nll)},
        series={"fold_nll": trial.fold_nll},
    )
    tracking.finish(run_id, _RUN_STATUS[trial.status])
