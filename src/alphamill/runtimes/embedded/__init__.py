"""Starts and stops the embedded runtime's child processes; none of them can be orphaned.

Names are imported when they are first used, so that a pipeline step pays only for `exit_with_runtime`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphamill.runtimes.embedded.children import Child, free_port
    from alphamill.runtimes.embedded.runtime import Runtime
    from alphamill.runtimes.embedded.watch import exit_with_runtime

__all__ = ["Child", "Runtime", "exit_with_runtime", "free_port"]

_HOMES = {
    "Child": "children",
    "Runtime": "runtime",
    "exit_with_runtime": "watch",
    "free_port": "children",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
