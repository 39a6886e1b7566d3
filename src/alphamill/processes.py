"""Processes below a process: found, and ended."""

import contextlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path


def kill_descendants(root: int) -> None:
    """SIGKILL to every process below `root`, deepest last so that none is lost from sight."""
    for pid in descendants(root):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Pids of children, their children and so on; guards have detached and are not among them."""
    below: dict[int, list[int]] = defaultdict(list)
    for pid, parent in _parents():
        below[parent].append(pid)
    found, queue = [], [root]
    while queue:
        queue.extend(below[queue[0]])
        found.extend(below[queue.pop(0)])
    return found


def _parents() -> list[tuple[int, int]]:
    if sys.platform != "linux":
        listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return [(int(pid), int(parent)) for pid, parent in map(str.split, listing.splitlines())]
    pairs = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pairs.append((int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])))
    return pairs
