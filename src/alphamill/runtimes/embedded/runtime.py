"""The embedded runtime: owns a home folder, its Redis and every child process started for it."""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Final

from alphamill import environment
from alphamill.errors import Conflict, Unavailable
from alphamill.runtimes.embedded import children, guard, redis
from alphamill.runtimes.embedded.children import Child
from alphamill.secret_url import SecretUrl
from alphamill.settings import Settings

LOCK_SECS: Final = 1.0
#: Folders that this process owns now: a POSIX lock does not refuse its own process.
_OWNED: Final[set[Path]] = set()


class Runtime:
    """Context manager; while it is open no other process can open a runtime on the same home.

    Inside, this process's environment names home, Redis and runtime: whatever it starts belongs to the runtime.
    However this process ends, Ctrl-C, SIGTERM and SIGKILL included, its children end with it.

    Parameters
    ----------
    settings
        `home` is used; `redis_url` is replaced by the URL of the Redis started here.
    fresh
        Empty the home first, once it is certain that nothing runs on it.

    Raises
    ------
    Conflict
        On entering: another runtime owns the home; names its pid.
    Unavailable
        On entering: Redis did not start.
    """

    def __init__(self, settings: Settings, *, fresh: bool = False) -> None:
        self._given = settings
        self._fresh = fresh
        self.home = settings.home.resolve()
        self._run = environment.run_dir(self.home)
        self._lock: IO[bytes] | None = None
        self._undo = contextlib.ExitStack()
        self.settings = settings

    def __enter__(self) -> "Runtime":
        with contextlib.ExitStack() as undo:
            undo.callback(self._release)
            self._acquire()
            token = secrets.token_hex(8)
            guard.write_json(self._run / guard.OWNER_FILE, {"pid": os.getpid(), "token": token})
            undo.callback(self._stop_children)
            self._stop_children()
            if self._fresh:
                self._clear()
            undo.enter_context(_terminate_as_interrupt())
            undo.enter_context(
                environment.variables({environment.HOME: str(self.home), environment.RUNTIME_TOKEN: token})
            )
            _, url = redis.start(self.home)
            undo.enter_context(environment.variables({environment.REDIS_URL: url}))
            self.settings = self._given.model_copy(update={"home": self.home, "redis_url": SecretUrl(url)})
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def start(
        self, name: str, command: Sequence[str], *, settings: Settings | None = None, cwd: Path | None = None
    ) -> Child:
        """Start a guarded child of this runtime, e.g. the trader; see `children.start`.

        Its environment says `settings`, those of the runtime when None, whatever this process was started with.
        """
        env = environment.child_environment(settings or self.settings)
        return children.start(name, command, home=self.home, env=env, cwd=cwd)

    def children(self) -> list[Child]:
        """Every living child, those started by pipeline steps included."""
        return children.running(self.home)

    def _acquire(self) -> None:
        if self.home in _OWNED:
            raise Conflict(f"{self.home} is already in use by this process.", field="home")
        self._run.mkdir(parents=True, exist_ok=True)
        self._lock = (self._run / guard.LOCK_FILE).open("ab")
        deadline = time.monotonic() + LOCK_SECS
        while True:
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                # Guards of a dead runtime probe the lock for an instant; a living one holds it.
                if time.monotonic() > deadline:
                    self._lock.close()
                    self._lock = None
                    raise self._conflict() from error
                time.sleep(children.POLL_SECS)
            else:
                _OWNED.add(self.home)
                return

    def _conflict(self) -> Conflict:
        owner = guard.read_json(self._run / guard.OWNER_FILE).get("pid", "unknown")
        return Conflict(
            f"{self.home} is in use by another runtime, pid {owner}.",
            field="home",
            remedy=f"Stop it (kill {owner}), or set {environment.HOME} to another folder.",
        )

    def _stop_children(self) -> None:
        """End all children on record, those of a killed runtime included, and clear their traces."""
        errors = []
        for child in reversed(children.running(self.home)):
            try:
                children.stop(child)
            except Unavailable as error:
                errors.append(str(error))
        for folder in (guard.RECORDS, environment.DEPLOYMENTS):
            for left in (self._run / folder).glob("*.json"):
                left.unlink(missing_ok=True)
        if errors:
            raise Unavailable(" ".join(errors))

    def _clear(self) -> None:
        """Everything but the folder that holds the lock."""
        for entry in self.home.iterdir():
            if entry.is_dir() and entry != self._run:
                shutil.rmtree(entry)
            elif entry.is_file():
                entry.unlink()

    def _release(self) -> None:
        if self._lock is not None:
            (self._run / guard.OWNER_FILE).unlink(missing_ok=True)
            _OWNED.discard(self.home)
            self._lock.close()
            self._lock = None


@contextlib.contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that children are stopped in order."""

    def unwind(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
