"""Names of the environment variables and files by which the processes of one runtime find each other.

Written here once. `HOME` and `REDIS_URL` are fields of `alphamill.settings.Settings` as well.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "ALPHAMILL_"
HOME: Final = "ALPHAMILL_HOME"
REDIS_URL: Final = "ALPHAMILL_REDIS_URL"
#: Random word of the runtime that started this process; the next runtime on the same home has another.
RUNTIME_TOKEN: Final = "ALPHAMILL_RUNTIME_TOKEN"


def run_dir(home: Path) -> Path:
    """Folder of lock, child records and deployments; emptied of leftovers when a runtime starts."""
    return home.resolve() / "run"


def log_file(home: Path, name: str) -> Path:
    return home.resolve() / "log" / f"{name}.log"


#: Below `run_dir`: one file per deployed inference service.
DEPLOYMENTS: Final = "deployments"


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
