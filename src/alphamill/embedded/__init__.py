"""Starts and stops the embedded runtime's child processes; none of them can be orphaned."""

from alphamill.embedded.children import Child, free_port
from alphamill.embedded.runtime import Runtime
from alphamill.embedded.watch import exit_with_parent, exit_with_runtime

__all__ = ["Child", "Runtime", "exit_with_parent", "exit_with_runtime", "free_port"]
