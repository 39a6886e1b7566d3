"""Pipelines that run in this process."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alphamill.domain.pipelines import PipelineRun
from alphamill.errors import AlphamillError

#: Gets the pipeline's arguments and the outputs of the steps before it; its own outputs.
Step = Callable[[Mapping[str, Any], Mapping[str, Mapping[str, Any]]], Mapping[str, Any]]


class InProcessPipelines:
    """`Pipelines` whose steps are functions, run one after the other.

    Parameters
    ----------
    pipelines
        By name, the steps of each by theirs, in order.
    folder
        Each run gets a folder of its own in it, with a log.
    """

    def __init__(self, pipelines: Mapping[str, Mapping[str, Step]], folder: Path) -> None:
        self._pipelines, self._folder, self._runs = pipelines, folder, 0

    def run(self, pipeline: str, arguments: Mapping[str, Any], *, progress: Path | None = None) -> PipelineRun:
        """Run to the end; an error keeps its class and names the step."""
        if pipeline not in self._pipelines:
            raise AlphamillError(f"pipeline {pipeline} failed: there is none of that name.")
        self._runs += 1
        run_dir = self._folder / str(self._runs)
        run_dir.mkdir(parents=True)
        log = run_dir / "pipeline.log"
        outputs: dict[str, Mapping[str, Any]] = {}
        for name, step in self._pipelines[pipeline].items():
            with log.open("a") as file:
                file.write(f"{name}\n")
            try:
                outputs[name] = step(arguments, outputs)
            except AlphamillError as error:
                raise type(error)(
                    f"step {name} failed: {error}", field=f"step {name}", remedy=f"The whole log: {log}"
                ) from error
        return PipelineRun(run_dir, log, outputs)
