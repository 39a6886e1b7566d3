"""A hyper-parameter search in this process."""

from alphamill.errors import AlphamillError
from alphamill.ports.search import OnProgress
from alphamill.training import Dataset, ModelParams, ParamSpace, WalkForward
from alphamill.training.trials import SearchResult, Trial, TrialStatus, best_of, score_folds


class LoopSearch:
    """`Search` that fits one configuration after the other, every fold of each: nothing is pruned.

    Parameters
    ----------
    run_id
        Said to be the run that it noted its trials under.
    """

    def __init__(self, run_id: str = "search") -> None:
        self._run_id = run_id

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
        """Try the configurations that `space` gives for the seed, in their order."""
        from alphamill.training.models import build_network

        chosen = space.sample(trials, seed)
        splits.split(dataset)
        for params in chosen:
            build_network(len(dataset.features), params)
        tried = []
        for number, params in enumerate(chosen):
            tried.append(_tried(number, params, dataset, splits, seed))
            if on_progress is not None:
                on_progress(number + 1, trials)
        return SearchResult(best_of(tuple(tried)), tuple(tried), self._run_id)


def _tried(number: int, params: ModelParams, dataset: Dataset, splits: WalkForward, seed: int) -> Trial:
    scores: list[float] = []
    status: TrialStatus = "completed"
    error = ""
    try:
        scores.extend(score_folds(dataset, params, splits, seed))
    except AlphamillError as failure:
        status, error = "failed", f"{type(failure).__name__}: {failure}"
    return Trial(number, params, status, tuple(scores), error)
