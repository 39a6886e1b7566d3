"""Who tries configurations of a model."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # What is searched belongs to the training stage, above; a port only names it.
    from alphamill.training import Dataset, ParamSpace, WalkForward
    from alphamill.training.trials import SearchResult

#: Called with (trials over, trials).
OnProgress = Callable[[int, int], None]


class Search(Protocol):
    """A hyper-parameter search."""

    def run(
        self,
        dataset: "Dataset",
        splits: "WalkForward",
        *,
        space: "ParamSpace",
        trials: int,
        seed: int,
        on_progress: OnProgress | None = None,
    ) -> "SearchResult":
        """Try so many configurations of `space`; every one of them, pruned and failed ones too, and the best.

        The same data, arguments and machine give the same result. `InvalidConfig` for folds that do not fit the data,
        `DataUnfit` when every trial failed.
        """
        ...
