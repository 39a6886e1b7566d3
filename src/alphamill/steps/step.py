"""What every step begins with."""

from alphamill.adapters.files.progress import report_progress
from alphamill.runtimes.embedded.watch import exit_with_runtime
from alphamill.settings import Settings, load_settings


def begin(stage: str, message: str) -> Settings:
    """Settings of the environment; from here on the step ends with the runtime that started it."""
    exit_with_runtime()
    report_progress(stage, 0, 1, message)
    return load_settings()


def finish(stage: str, message: str) -> None:
    report_progress(stage, 1, 1, message)
