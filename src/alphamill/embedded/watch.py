"""For processes that no guard started: pipeline steps."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from alphamill.embedded import environment, guard


def exit_with_runtime() -> bool:
    """From now on this process and its descendants are killed when the runtime that started it is gone.

    A daemon thread looks four times a second. Without a runtime in the environment, or in the runtime's own
    process, there is nothing to watch.

    Returns
    -------
    True if a runtime is being watched.
    """
    home, token = os.environ.get(environment.HOME), os.environ.get(environment.RUNTIME_TOKEN)
    if not home or not token:
        return False
    run = environment.run_dir(Path(home))
    owner = guard.read_json(run / guard.OWNER_FILE)
    if owner.get("pid") == os.getpid() and owner.get("token") == token:
        return False
    _exit_when(lambda: guard.runtime_gone(run, token), "runtime-watch")
    return True


def _exit_when(gone: Callable[[], bool], name: str) -> None:
    def look() -> None:
        pause = threading.Event()
        while not gone():
            pause.wait(guard.POLL_SECS)
        kill_descendants(os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, name=name, daemon=True).start()


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
