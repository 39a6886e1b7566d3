"""The search on a real Ray: repeatable to the bit, every trial counted and logged, no process left behind."""

import datetime as dt
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from alphamill.adapters.mlflow.registry import MlflowTracking
from alphamill.adapters.ray import tune as ray_tune
from alphamill.adapters.ray.session import ray_session
from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.training import Dataset, GaussianHead, ModelParams, ParamSpace, WalkForward, architecture, build_dataset
from alphamill.training.trials import Trial, best_of, score_folds

SPLITS = WalkForward(n_folds=3, purge_bars=6)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    start = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    days = pl.Series([start + dt.timedelta(days=i) for i in range(306)], dtype=pl.Datetime("us", "UTC"))
    x = rng.normal(size=(300, 2))
    frame = pl.DataFrame({"f0": x[:, 0], "f1": x[:, 1], "label": 0.02 * (0.3 * x[:, 0] + rng.normal(size=300))})
    keyed = frame.with_columns(symbol=pl.lit("AAA"), ts=days[:300], label_end_ts=days[6:])
    return build_dataset(keyed, ("f0", "f1"), horizon_bars=5, data_version="7")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tune")


@pytest.fixture(scope="module")
def tracking(home: Path) -> MlflowTracking:
    return MlflowTracking(f"sqlite:///{home}/mlflow.db", home)


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    """One Ray for the module: starting it costs more than all the trials."""
    with ray_session(None, 2):
        yield


def runs_under(home: Path, parent: str) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    found = client.search_runs([client.get_run(parent).info.experiment_id], query)
    return sorted(found, key=lambda run: run.data.tags["mlflow.runName"])


@pytest.fixture(scope="module")
def space() -> ParamSpace:
    """Small networks, and one that never learns."""
    import torch

    @architecture("breaks-in-tune")
    def breaks(n_features: int, params: ModelParams) -> torch.nn.Module:
        head = GaussianHead(torch.nn.Identity(), n_features)
        torch.nn.init.constant_(head.out.weight, float("nan"))
        return head

    return ParamSpace(architecture=("linear", "mlp", "breaks-in-tune"), hidden=((4,), (8,)), epochs=(1, 2))


def expected_trials(dataset: Dataset, chosen: list[ModelParams], seed: int) -> list[tuple[str, list[float]]]:
    """The stated rule in plain words: a trial goes on while its mean is not worse than the median, at the same
    fold, of the trials that were over before it began: all but the two just before it."""
    reached: list[tuple[str, list[float]]] = []
    for number, params in enumerate(chosen):
        try:
            scores = list(score_folds(dataset, params, SPLITS, seed))
        except DataUnfit:
            reached.append(("failed", []))
            continue
        outcome = ("completed", scores)
        for folds in (1, 2):
            earlier = [np.mean(other[:folds]) for _, other in reached[: max(0, number - 2)] if len(other) >= folds]
            if earlier and np.mean(scores[:folds]) > np.median(earlier):
                outcome = ("pruned", scores[:folds])
                break
        reached.append(outcome)
    return reached


@pytest.mark.usefixtures("running_ray")
def test_search_is_repeatable_counted_and_logged(
    dataset: Dataset, tracking: MlflowTracking, home: Path, space: ParamSpace
) -> None:
    seen: list[tuple[int, int]] = []
    first = ray_tune.tune(
        dataset, SPLITS, tracking, space=space, n_trials=12, seed=1, on_progress=lambda *step: seen.append(step)
    )
    assert seen == [(done, 12) for done in range(1, 13)]
    assert [trial.params for trial in first.trials] == space.sample(12, 1)
    # A fit in a trial process has the bits of a fit in this one.
    expected = expected_trials(dataset, space.sample(12, 1), seed=1)
    assert [(trial.status, list(trial.fold_nll)) for trial in first.trials] == expected
    assert {status for status, _ in expected} == {"completed", "pruned", "failed"}
    completed = [trial for trial in first.trials if trial.status == "completed"]
    assert first.best == min(completed, key=lambda trial: trial.nll)
    assert first.table()["status"].to_list() == [status for status, _ in expected]

    statuses = {"completed": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    runs = runs_under(home, first.run_id)
    assert [run.info.status for run in runs] == [statuses[trial.status] for trial in first.trials]
    for run, trial in zip(runs, first.trials, strict=True):
        assert run.data.tags["alphamill.data_version"] == "7"
        assert run.data.params["architecture"] == trial.params.architecture
        assert run.data.metrics["folds"] == len(trial.fold_nll)
        assert run.data.metrics.get("nll", np.inf) == pytest.approx(trial.nll)
        assert ("TrainingDiverged" in run.data.tags.get("alphamill.error", "")) == (trial.status == "failed")

    # One trial at a time arrives in another order than two: the verdicts must not differ.
    again = ray_tune.tune(dataset, SPLITS, tracking, space=space, n_trials=12, seed=1, max_concurrent=1)
    assert again.trials == first.trials


def test_search_without_a_completed_trial_names_the_first_reason() -> None:
    failed = Trial(0, ModelParams(), "failed", (), "TrainingDiverged: a weight is NaN.")
    with pytest.raises(DataUnfit, match="none of 1 trials completed; the first failed with: TrainingDiverged"):
        best_of((failed,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"splits": WalkForward(n_folds=3, purge_bars=5)},
        {"space": ParamSpace(architecture=("forest",))},
        {"n_trials": 0},
        {"max_concurrent": 0},
        {"reduction_factor": 1},
    ],
)
def test_what_cannot_work_is_refused_before_ray_starts(
    dataset: Dataset, tracking: MlflowTracking, wrong: dict[str, object]
) -> None:
    start = time.monotonic()
    with pytest.raises(InvalidConfig):
        ray_tune.tune(dataset, **{"splits": SPLITS, "tracking": tracking, **wrong})
    assert time.monotonic() - start < 8


def test_killed_driver_leaves_neither_process_nor_folder_behind() -> None:
    script = """
        from alphamill.adapters.ray.session import ray_session
        import ray, sys
        with ray_session(None, 1):
            print(ray._private.worker._global_node.get_session_dir_path(), flush=True)
            sys.stdin.read()
    """
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert driver.stdin is not None
    assert driver.stdout is not None
    with driver.stdin, driver.stdout:
        session = Path(driver.stdout.readline().strip())
        children = psutil.Process(driver.pid).children(recursive=True)
        names = {child.name() for child in children}
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait(10)
    assert names >= {"raylet", "gcs_server", "sh"}
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    deadline = time.monotonic() + 10
    while session.parent.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert session.parent.name.startswith("ray-")
    assert not session.parent.exists()


def test_process_that_ray_had_just_started_dies_with_the_driver_too(tmp_path: Path) -> None:
    folder = tmp_path / "ray-x"
    folder.mkdir()
    hang = [sys.executable, "-c", "import time; time.sleep(600)"]
    script = """
        import os, signal, sys
        from alphamill.adapters.ray.session import _mourned
        with _mourned(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    with subprocess.Popen([*hang, f"--temp-dir={folder}"]) as started, subprocess.Popen(hang) as other:
        try:
            subprocess.run([sys.executable, "-c", textwrap.dedent(script), folder], check=False, timeout=30)
            assert started.wait(20) == -signal.SIGKILL
            assert other.poll() is None
        finally:
            started.kill()
            other.kill()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
