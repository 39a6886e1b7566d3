"""One suite for every `Search`: all trials come back in the order of the seed, and the best of the completed ones."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from alphamill.adapters.mlflow.tracking import MlflowTracking
from alphamill.adapters.ray.session import ray_session
from alphamill.adapters.ray.tune import RaySearch
from alphamill.errors import InvalidConfig
from alphamill.ports import Search
from alphamill.testing.search import LoopSearch
from alphamill.training import Dataset, ParamSpace, WalkForward, build_dataset
from alphamill.training.trials import score_folds

SPLITS = WalkForward(n_folds=2, purge_bars=6)
SPACE = ParamSpace(architecture=("linear",), epochs=(1, 2))
TRIALS, SEED = 3, 5


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
def ray_search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaySearch]:
    home = tmp_path_factory.mktemp("search")
    with ray_session(None, 2):
        yield RaySearch(MlflowTracking(f"sqlite:///{home}/mlflow.db", home))


@pytest.fixture(params=["loop", "ray"], scope="module")
def search(request: pytest.FixtureRequest) -> Search:
    return LoopSearch() if request.param == "loop" else request.getfixturevalue("ray_search")


def test_every_trial_comes_back_and_the_best_of_them(search: Search, dataset: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    found = search.run(
        dataset, SPLITS, space=SPACE, trials=TRIALS, seed=SEED, on_progress=lambda *step: seen.append(step)
    )
    assert seen == [(done, TRIALS) for done in range(1, TRIALS + 1)]
    assert [trial.params for trial in found.trials] == SPACE.sample(TRIALS, SEED)
    assert [trial.number for trial in found.trials] == list(range(TRIALS))
    completed = [trial for trial in found.trials if trial.status == "completed"]
    assert found.best == min(completed, key=lambda trial: trial.nll)
    for trial in completed:
        assert list(trial.fold_nll) == list(score_folds(dataset, trial.params, SPLITS, SEED))
    assert found.table()["status"].to_list() == [trial.status for trial in found.trials]
    assert found.run_id


def test_folds_that_do_not_fit_and_unknown_networks_are_refused(search: Search, dataset: Dataset) -> None:
    with pytest.raises(InvalidConfig):
        search.run(dataset, WalkForward(n_folds=2, purge_bars=5), space=SPACE, trials=1, seed=0)
    with pytest.raises(InvalidConfig, match="forest"):
        search.run(dataset, SPLITS, space=ParamSpace(architecture=("forest",)), trials=1, seed=0)
