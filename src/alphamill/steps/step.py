"""What every step begins with."""

from alphamill.adapters.files.progress import report_progress
from alphamill.logs import configure
from alphamill.runtimes.embedded.watch import exit_with_runtime
from alphamill.settings import Settings, load_settings


def begin(stage: str, message: str, given: Settings | None = None) -> Settings:
    """Settings to work with; from here on the step ends with the runtime that started it.

    A step that is a process of its own is given none: its settings are those of its environment.
    """
    exit_with_runtime()
    report_progress(stage, 0, 1, message)
    if given is not None:
        return given
    settings = load_settings()
    configure(settings, "step")
    return settings


def finish(stage: str, message: str) -> None:
    report_progress(stage, 1, 1, message)
