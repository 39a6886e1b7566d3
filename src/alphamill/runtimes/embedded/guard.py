"""Stands between a runtime and one of its children so that the child can never be orphaned.

Run as a script by `alphamill.runtimes.embedded.children` (standard library only, isolated, about 10 MB):

    python -I -S guard.py --run DIR --token WORD --name NAME --log FILE --grace-secs 10 -- command ...

The guard detaches from the process that started it (a pipeline step may end while the server that it
deployed lives on) and ends the command's process group when the runtime is gone, when it is told
to (SIGTERM), or when the command exits. On Linux the kernel kills the command if the guard is killed.
"""

import argparse
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "runtime.lock"
OWNER_FILE: Final = "runtime.json"
RECORDS: Final = "children"
POLL_SECS: Final = 0.25
PR_SET_PDEATHSIG: Final = 1


def runtime_gone(run: Path, token: str) -> bool:
    """True when no process holds the lock, or another runtime than `token` does.

    Never call this in the runtime process: closing any descriptor of a POSIX lock's file drops the lock.
    """
    try:
        descriptor = os.open(run / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except OSError:
        owner = read_json(run / OWNER_FILE)
        return "token" in owner and owner["token"] != token
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, object]:
    """The object in `path`; empty while it is absent or half gone."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Readers see the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(content))
    part.replace(path)


def birth(pid: int) -> str | None:
    """When the process started, as a word that a later process with the same pid does not share.

    None if there is no such process or it is a zombie.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def die_with_parent(parent: int) -> None:
    """Ask the kernel (Linux) to kill this process when the thread that started it dies."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def end_group(child: "subprocess.Popen[bytes]", grace_secs: float) -> None:
    """TERM to the whole group, KILL to what is left of it when the leader is gone or the time is up."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_secs)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def wake_on_signals() -> int:
    """A descriptor that becomes readable when a child exits or someone asks this process to stop."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def guard(child: "subprocess.Popen[bytes]", waker: int, run: Path, token: str, grace_secs: float) -> int:
    """Wait for the child's end, a signal or the runtime's death; return the child's exit status."""
    while child.poll() is None:
        select.select([waker], [], [], POLL_SECS)
        told = b""
        with contextlib.suppress(BlockingIOError):
            told = os.read(waker, 64)
        if set(told) - {signal.SIGCHLD} or runtime_gone(run, token):
            break
    end_group(child, grace_secs)
    return child.returncode


def start(command: list[str]) -> "subprocess.Popen[bytes]":
    """The command in a process group of its own. The guard has one thread, so preexec_fn is safe."""
    own = os.getpid()
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=2,
        process_group=0,
        preexec_fn=lambda: die_with_parent(own),
    )


def answer(message: dict[str, object]) -> None:
    """One line to the starter, then its pipe is let go."""
    os.write(1, json.dumps(message).encode())
    os.dup2(2, 1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for name in ("run", "token", "name", "log"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--grace-secs", type=float, default=10.0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    if os.fork():
        os._exit(0)
    os.dup2(os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
    run, record = Path(options.run), Path(options.run) / RECORDS / f"{options.name}.json"
    waker = wake_on_signals()
    try:
        child = start(options.command)
    except OSError as error:
        answer({"error": str(error)})
        return 127
    known: dict[str, object] = {
        "name": options.name,
        "guard": os.getpid(),
        "guard_birth": birth(os.getpid()),
        "pid": child.pid,
        "birth": birth(child.pid),
    }
    try:
        write_json(record, known)
        answer(known)
        return guard(child, waker, run, options.token, options.grace_secs)
    finally:
        end_group(child, options.grace_secs)
        if read_json(record).get("guard") == os.getpid():
            record.unlink(missing_ok=True)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status if status >= 0 else 128 - status)
