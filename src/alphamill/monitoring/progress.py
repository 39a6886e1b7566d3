"""What a pipeline step says about how far it is. Steps write, a terminal reads."""

import json
from dataclasses import asdict, dataclass
from typing import Final

#: The stages of the main job, in order, one word each, and the report at its end.
STAGES: Final = (
    "ingest",
    "validate",
    "features",
    "materialize",
    "train",
    "evaluate",
    "register",
    "deploy",
    "trade",
    "report",
)


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` units of a stage; the stage is over when they are equal."""

    stage: str
    done: float
    total: float
    message: str = ""

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"unknown stage {self.stage!r}: one of {', '.join(STAGES)}")
        if not 0 <= self.done <= self.total:
            raise ValueError(f"done {self.done} is not within [0, {self.total}]")

    @property
    def finished(self) -> bool:
        return self.done >= self.total

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Progress":
        return cls(**json.loads(line))
