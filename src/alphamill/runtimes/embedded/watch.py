"""For processes that no guard started: pipeline steps."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from alphamill import environment
from alphamill.processes import kill_descendants
from alphamill.runtimes.embedded import guard


def exit_with_runtime() -> bool:
    """From now on this process and its descendants are killed when the runtime that started it is gone.

    A daemon thread looks four times a second. Without a runtime in the environment, or in the runtime's own
    process, there is nothing to watch.

    Returns
    -------
    True if a runtime is being watched.
    """
    home, token = environment.read(environment.HOME), environment.read(environment.RUNTIME_TOKEN)
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
