"""Ends this process when the process that a person started it from is gone, however it went.

`make demo` is a chain: make -> sh -> bash -> alphamill. A signal sent to one link does not reach the others, so
the last link watches all of them up to the one named in `EXIT_WITH_PARENT`. Standard library only: the
set-up script runs this file before anything is installed.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

#: Process id of the outermost ancestor to watch; unset or empty: watch nobody.
EXIT_WITH_PARENT: Final = "ALPHAMILL_EXIT_WITH_PARENT"
GRACE_SECS: Final = 20.0
POLL_SECS: Final = 0.25


def parent_of(pid: int) -> int:
    """Parent of a process; 0 if there is no such process."""
    if sys.platform == "linux":
        try:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return 0
    answer = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(answer.stdout.strip() or 0)


def ancestors(until: int) -> list[int]:
    """From this process's parent up to `until`; empty if `until` is not among them (it has gone)."""
    chain: list[int] = []
    pid = os.getppid()
    while pid > 1:
        chain.append(pid)
        if pid == until:
            return chain
        pid = parent_of(pid)
    return []


def exit_with_parent() -> threading.Thread | None:
    """Start the watch that the environment asks for, and take the request out of the environment.

    When a watched process ends, this one gets SIGTERM, and is ended for good after `GRACE_SECS`.
    Children do not inherit the request: who starts them decides how long they live.
    """
    asked = os.environ.pop(EXIT_WITH_PARENT, "")
    if not asked.isdecimal():
        return None
    chain = ancestors(int(asked))
    if not chain:
        sys.exit(f"The process that asked for this one ({EXIT_WITH_PARENT}={asked}) is gone.")
    watch = threading.Thread(target=_watch, args=(chain,), name="exit-with-parent", daemon=True)
    watch.start()
    return watch


def _watch(chain: list[int]) -> None:
    _wait_for_first_death(chain)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECS)
    os._exit(128 + signal.SIGTERM)


def _wait_for_first_death(chain: list[int]) -> None:
    if hasattr(os, "pidfd_open"):
        poller = select.poll()
        try:
            for pid in chain:
                poller.register(os.pidfd_open(pid), select.POLLIN)
        except ProcessLookupError:
            return
        except OSError:
            pass  # a kernel or sandbox without pidfd: fall through to looking
        else:
            poller.poll()
            return
    while ancestors(chain[-1]) == chain:
        time.sleep(POLL_SECS)
