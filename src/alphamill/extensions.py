"""Code of the user's own: modules that register features, architectures or risk rules when they are imported."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from alphamill.errors import InvalidConfig


def load_extensions(names: Sequence[str]) -> list[ModuleType]:
    """Import each module by its dotted name, or by the path of its ``.py`` file; once per process.

    Raises
    ------
    InvalidConfig
        It cannot be found, or raises while it is imported; names the module and what it said.
    """
    return [_load(name) for name in names]


def _load(name: str) -> ModuleType:
    try:
        return _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except Exception as error:  # an extension may raise anything
        raise InvalidConfig(
            f"extension {name!r} does not load: {type(error).__name__}: {error}.",
            field="ALPHAMILL_EXTENSIONS",
            remedy="Mend it, or take it out of the list.",
        ) from error


def _from_file(path: Path) -> ModuleType:
    """A file is known under its stem from then on, so that it is imported once only."""
    if known := sys.modules.get(path.stem):
        if Path(getattr(known, "__file__", None) or "").resolve() == path.resolve():
            return known
        raise ImportError(f"a module {path.stem!r} is there already, give the file another name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module
