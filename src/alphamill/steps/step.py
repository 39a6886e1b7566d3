"""What every step begins and ends with."""

from alphamill.bootstrap import wiring
from alphamill.logs import configure
from alphamill.ports import Wiring
from alphamill.settings import Settings, load_settings


def begin(stage: str, message: str, given: Settings | None = None) -> Wiring:
    """The parts to work with; from here on the step ends with the runtime that started it.

    A step that is a process of its own is given no settings: they are those of its environment.
    """
    parts = wiring(load_settings() if given is None else given)
    parts.join()
    parts.progress()(stage, 0, 1, message)
    if given is None:
        configure(parts.settings, "step")
    return parts


def finish(parts: Wiring, stage: str, message: str) -> None:
    """The stage is over: say with what, and release what was opened for it."""
    parts.progress()(stage, 1, 1, message)
    parts.close()
