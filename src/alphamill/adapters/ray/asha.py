"""ASHA whose verdicts do not depend on which process was faster. This module imports Ray.

Asynchronous successive halving (Li et al. 2020, *A System for Massively Parallel Hyperparameter Tuning*) judges a
trial against whatever has arrived by then, so two equal runs may prune different trials. Here trial i starts only
when trials 0 ... i - `window` are over, and is judged against these alone. What is given up is a little waiting
and the verdict of the `window - 1` trials just before.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ray.tune.schedulers import ASHAScheduler
from ray.tune.schedulers.async_hyperband import _Bracket
from ray.tune.search import Searcher


class OrderedSearch(Searcher):  # type: ignore[misc]  # Ray is untyped here
    """Hands out fixed configurations in order, holding each back until those `window` before it are over."""

    def __init__(self, configs: Sequence[dict[str, Any]], window: int) -> None:
        super().__init__(metric=None, mode=None)
        self._configs, self._window = list(configs), window
        self._started: list[str] = []
        self._over: set[str] = set()

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        position = len(self._started)
        if position == len(self._configs):
            return str(Searcher.FINISHED)
        if not self._over.issuperset(self._started[: max(0, position - self._window + 1)]):
            return None
        self._started.append(trial_id)
        return self._configs[position]

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._over.add(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is saved: an interrupted search starts anew."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError


class RepeatableASHA(ASHAScheduler):  # type: ignore[misc]  # Ray is untyped here
    """ASHA in which each trial has a bracket of its own, filled with the trials that `OrderedSearch` waited for."""

    def __init__(self, *, window: int, folds: int, reduction_factor: int, on_over: Callable[[], None]) -> None:
        super().__init__(time_attr="training_iteration", max_t=folds, grace_period=1, reduction_factor=reduction_factor)
        self._window, self._folds, self._factor, self._on_over = window, folds, reduction_factor, on_over
        self._order: list[tuple[str, Any]] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        bracket = _Bracket(1, self._folds, self._factor, 0)
        position = len(self._order)
        for earlier_id, earlier in self._order[: max(0, position - self._window + 1)]:
            for (_, own), (_, seen) in zip(bracket._rungs, earlier._rungs, strict=True):
                own.update({key: value for key, value in seen.items() if key == earlier_id})
        self._order.append((trial.trial_id, bracket))
        self._trial_info[trial.trial_id] = bracket

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        super().on_trial_complete(tune_controller, trial, result)
        self._on_over()

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_error(tune_controller, trial)
        self._on_over()
