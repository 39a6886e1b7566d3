"""Where a search notes what it tried."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class Tracking(Protocol):
    """Runs of one experiment: parameters, metrics and how each ended."""

    def start(self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Open a run and return its id; `parent` is the id of the run it is shown under."""
        ...

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        series: Mapping[str, Sequence[float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """One write; `series` become metrics by step."""
        ...

    def finish(self, run_id: str, status: RunStatus = "FINISHED") -> None: ...

    def run(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> AbstractContextManager[str]:
        """A run for the length of a block: FINISHED after it, FAILED when it raises."""
        ...
