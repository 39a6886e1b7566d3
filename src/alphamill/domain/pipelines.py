"""What a pipeline leaves when it has run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A finished run. `outputs` are the output parameters of every step by step name; artifacts lie in `run_dir`."""

    run_dir: Path
    log: Path
    outputs: Mapping[str, Mapping[str, Any]]
