"""Who runs pipelines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from alphamill.domain.pipelines import PipelineRun


class Pipelines(Protocol):
    """Runs a pipeline of steps, each in a process of its own."""

    def run(self, pipeline: str, arguments: Mapping[str, Any], *, progress: Path | None = None) -> PipelineRun:
        """Run to the end and return what the steps gave out.

        Parameters
        ----------
        pipeline
            ``package.module:function``.
        progress
            File that the steps report their progress to; None: one in the run's own folder.

        Raises
        ------
        AlphamillError
            A step failed: of the class that the step raised (`AlphamillError` itself if it raised another), naming
            the step.
        """
        ...
