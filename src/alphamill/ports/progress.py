"""Who hears how far a job is."""

from typing import Protocol


class ReportProgress(Protocol):
    """Tells whoever watches this job; nobody may be watching."""

    def __call__(self, stage: str, done: float, total: float, message: str = "") -> None:
        """`done` of `total` units of a stage of `monitoring.progress.STAGES`; the stage is over when they are equal."""
        ...
