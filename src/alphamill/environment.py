"""The environment of this process, and what the processes of one runtime tell each other through theirs.

Every name is written here once. Settings are fields of `alphamill.settings.Settings`; the other names are below.
Beside `settings`, only this module reads and writes `os.environ`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from alphamill.settings import Settings

PREFIX: Final = "ALPHAMILL_"
HOME: Final = "ALPHAMILL_HOME"
REDIS_URL: Final = "ALPHAMILL_REDIS_URL"
#: Random word of the runtime that started this process; the next runtime on the same home has another.
RUNTIME_TOKEN: Final = "ALPHAMILL_RUNTIME_TOKEN"
#: Names the file that steps append their progress to, one JSON object a line; unset: nobody listens.
PROGRESS_FILE: Final = "ALPHAMILL_PROGRESS_FILE"
#: Process id of the outermost ancestor to watch; see `alphamill.cli.parent`.
EXIT_WITH_PARENT: Final = "ALPHAMILL_EXIT_WITH_PARENT"
#: Set: the command line shows the traceback of an error.
DEBUG: Final = "ALPHAMILL_DEBUG"
#: The image that compiled pipelines run their steps in.
PIPELINE_IMAGE: Final = "ALPHAMILL_PIPELINE_IMAGE"
#: What feature_repo/ reads: folder of registry and offline table, and Redis in Feast's words.
FEATURES_DIR: Final = "ALPHAMILL_FEATURES_DIR"
FEAST_REDIS: Final = "ALPHAMILL_REDIS"
#: Where the benchmarks' probe notes the imports of a process.
BENCH_IMPORTS: Final = "ALPHAMILL_BENCH_IMPORTS"

#: Known, but no settings.
BETWEEN_PROCESSES: Final = frozenset(
    {
        RUNTIME_TOKEN,
        PROGRESS_FILE,
        EXIT_WITH_PARENT,
        DEBUG,
        PIPELINE_IMAGE,
        FEATURES_DIR,
        FEAST_REDIS,
        BENCH_IMPORTS,
    }
)


def run_dir(home: Path) -> Path:
    """Folder of lock, child records and deployments; emptied of leftovers when a runtime starts."""
    return home.resolve() / "run"


def log_file(home: Path, name: str) -> Path:
    return home.resolve() / "log" / f"{name}.log"


#: Below `run_dir`: one file per deployed inference service.
DEPLOYMENTS: Final = "deployments"


def read(name: str) -> str | None:
    """The value of a variable of this process; None when it is unset or empty."""
    return os.environ.get(name) or None


def require(name: str) -> str:
    """The value of a variable that whoever started this process must have set; `KeyError` names it."""
    return os.environ[name]


def own_names() -> list[str]:
    """Names of this process's variables that begin with `PREFIX`, however they are written."""
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX))


def default(values: Mapping[str, str]) -> None:
    """Set variables that libraries of this process read, unless somebody has set them already."""
    for name, value in values.items():
        os.environ.setdefault(name, value)


def export(values: Mapping[str, str]) -> None:
    """Set variables of this process and of all that it starts from now on."""
    os.environ.update(values)


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the length of a block and put the old values back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def inherited(more: Mapping[str, str]) -> dict[str, str]:
    """This process's variables and `more`: the environment of a child that is told nothing else."""
    return {**os.environ, **more}


def child_environment(settings: "Settings", more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child that works with exactly these `settings`, whatever this process was started with.

    Parameters
    ----------
    more
        Variables beside the settings, e.g. `PROGRESS_FILE`.
    """
    others = {name: value for name, value in os.environ.items() if name.upper() not in type(settings).variable_names()}
    return {**others, **settings.variables(), **(more or {})}
