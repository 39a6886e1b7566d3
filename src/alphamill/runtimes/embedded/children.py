"""Start and stop guarded child processes of the runtime that owns a home folder."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alphamill import environment
from alphamill.errors import Conflict, Unavailable
from alphamill.runtimes.embedded import guard

POLL_SECS: Final = 0.02
LOG_TAIL_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Child:
    """A guarded process. `guard_pid` is the one to signal; `pid` is the command's own, leader of its group."""

    name: str
    guard_pid: int
    guard_birth: str
    pid: int
    birth: str
    log: Path

    @property
    def alive(self) -> bool:
        """True while the command itself runs (a zombie does not)."""
        return guard.birth(self.pid) == self.birth

    @property
    def guarded(self) -> bool:
        return guard.birth(self.guard_pid) == self.guard_birth

    def log_tail(self) -> str:
        """The last lines the child wrote."""
        return _tail(self.log)


def start(
    name: str,
    command: Sequence[str],
    *,
    home: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    grace_secs: float = 10.0,
) -> Child:
    """Start `command` under a guard; it ends with the runtime of `home` and may outlive the caller.

    Parameters
    ----------
    name
        Unique among the running children of `home`; its output goes to ``<home>/log/<name>.log``.
    env
        The command's whole environment, e.g. from `environment.child_environment`; this process's own when None.
    grace_secs
        Time between SIGTERM and SIGKILL when it is stopped.

    Raises
    ------
    Unavailable
        No runtime owns `home`, or the command does not start.
    """
    run, log = environment.run_dir(home), environment.log_file(home, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    options = ["--run", str(run), "--token", runtime_token(home), "--name", name, "--log", str(log)]
    options += ["--grace-secs", str(grace_secs), "--", *command]
    with log.open("ab") as errors:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", guard.__file__, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=env,
            cwd=cwd,
            timeout=30,
            check=False,
        ).stdout
    known = json.loads(answer) if answer else {"error": "its guard did not start"}
    if "error" in known or not known["birth"]:
        why = known.get("error", "it exited at once")
        raise Unavailable(f"{name} did not start: {why}. Last lines of {log}:\n{_tail(log)}")
    return _child(known, home)


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    return ""


def _child(known: Mapping[str, object], home: Path) -> Child:
    name = str(known["name"])
    return Child(
        name=name,
        guard_pid=int(str(known["guard"])),
        guard_birth=str(known["guard_birth"]),
        pid=int(str(known["pid"])),
        birth=str(known["birth"]),
        log=environment.log_file(home, name),
    )


def runtime_token(home: Path) -> str:
    """The word of the runtime this process belongs to, else of the one that owns `home` now."""
    owner = guard.read_json(environment.run_dir(home) / guard.OWNER_FILE)
    token = environment.read(environment.RUNTIME_TOKEN) or owner.get("token")
    if not owner or not token:
        raise Unavailable(f"no runtime owns {home}.", field="home", remedy="Start it first: alphamill demo --keep.")
    return str(token)


def running(home: Path) -> list[Child]:
    """Children of `home` on record whose command or guard still lives."""
    records = (environment.run_dir(home) / guard.RECORDS).glob("*.json")
    children = [_child(known, home) for known in map(guard.read_json, sorted(records)) if known.get("pid")]
    return [child for child in children if child.alive or child.guarded]


def wait_ready(child: Child, ready: Callable[[], bool], *, timeout_secs: float) -> float:
    """Poll `ready` until true and return the seconds it took.

    Raises
    ------
    Unavailable
        The child exited, or the time is up; the message ends with the last lines of its log.
    """
    started = time.monotonic()
    while not ready():
        waited = time.monotonic() - started
        if not child.alive or waited > timeout_secs:
            what = f"was not ready after {waited:.0f} s" if child.alive else "exited while starting"
            raise Unavailable(f"{child.name} {what}. Last lines of {child.log}:\n{child.log_tail()}")
        time.sleep(POLL_SECS)
    return time.monotonic() - started


def stop(child: Child, *, timeout_secs: float = 15.0) -> None:
    """End the child through its guard, by force when the guard is gone or `timeout_secs` are over."""
    with contextlib.suppress(ProcessLookupError):
        if child.guarded:
            os.kill(child.guard_pid, signal.SIGTERM)
        elif child.alive:
            os.killpg(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout_secs
    while child.alive or child.guarded:
        if time.monotonic() > deadline:
            for pid in (child.pid, child.guard_pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECS)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_free(host: str, port: int, field: str) -> None:
    """`Conflict` naming the setting or option `field` when something listens there already.

    Asked before a server starts, because a server binds last: by then it would have begun to work.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = f"Free it, or choose another with {field}."
            raise Conflict(f"{host}:{port} cannot be listened on: {error}.", field=field, remedy=remedy) from error
