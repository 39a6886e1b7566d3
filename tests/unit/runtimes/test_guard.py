"""The guard's parts, in this process: when it acts, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphamill.errors import Unavailable
from alphamill.runtimes.embedded import children, guard

#: Holds the lock of a run folder as a runtime does, until its standard input closes.
HOLDER = """
import fcntl, sys
lock = open(sys.argv[1] + "/runtime.lock", "ab")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A run folder that another process holds under the token "mine"."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        guard.write_json(tmp_path / guard.OWNER_FILE, {"pid": holder.pid, "token": "mine"})
        yield tmp_path


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with guard.start(["sleep", "300"]) as child:
        yield child
        child.kill()


def test_runtime_is_there_while_it_holds_the_lock_under_its_token(held: Path) -> None:
    assert not guard.runtime_gone(held, "mine")


def test_runtime_is_gone_when_another_one_holds_the_lock(held: Path) -> None:
    assert guard.runtime_gone(held, "older")


def test_runtime_is_not_given_up_before_the_new_owner_has_signed(held: Path) -> None:
    (held / guard.OWNER_FILE).write_text("{")
    assert not guard.runtime_gone(held, "mine")


def test_runtime_is_gone_when_nobody_holds_the_lock(tmp_path: Path) -> None:
    assert guard.runtime_gone(tmp_path, "mine"), "no lock file"
    (tmp_path / guard.LOCK_FILE).touch()
    assert guard.runtime_gone(tmp_path, "mine"), "a lock file that nobody holds"


@pytest.fixture
def waker() -> Iterator[int]:
    """A descriptor that stays silent."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader
    os.close(reader)
    os.close(writer)


def test_guard_ends_the_child_of_a_dead_runtime(tmp_path: Path, sleeper: "subprocess.Popen[bytes]", waker: int) -> None:
    assert guard.guard(sleeper, waker, tmp_path, "mine", grace_secs=5) == -signal.SIGTERM


def test_guard_ends_the_child_when_it_is_told_to(held: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, bytes([signal.SIGCHLD, signal.SIGTERM]))
    assert guard.guard(sleeper, reader, held, "mine", grace_secs=5) == -signal.SIGTERM
    os.close(reader)
    os.close(writer)


def test_guard_returns_the_status_of_a_child_that_ends_by_itself(held: Path, waker: int) -> None:
    assert guard.guard(guard.start(["sh", "-c", "exit 3"]), waker, held, "mine", grace_secs=5) == 3


def test_group_is_killed_when_its_leader_ignores_the_request() -> None:
    child = guard.start(
        [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(99)"]
    )
    guard.end_group(child, grace_secs=0.05)
    assert child.returncode in (-signal.SIGKILL, -signal.SIGTERM)


def test_birth_tells_processes_apart_and_knows_no_dead_ones() -> None:
    assert guard.birth(os.getpid()) == guard.birth(os.getpid())
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert guard.birth(ended.pid) is None, "a zombie"
    ended.wait()
    assert guard.birth(ended.pid) is None


def test_json_is_replaced_whole_and_read_as_empty_when_damaged(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    guard.write_json(path, {"a": 1})
    assert guard.read_json(path) == json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in path.parent.iterdir()] == ["x.json"]
    path.write_text("[1]")
    assert guard.read_json(path) == {}


def test_child_whose_guard_was_killed_is_stopped_by_force(runtime_home: Path) -> None:
    child = children.start("unguarded", ["sleep", "300"], home=runtime_home)
    os.kill(child.guard_pid, signal.SIGKILL)
    children.stop(child)
    assert not child.alive


def test_token_of_a_home_without_owner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no runtime owns"):
        children.runtime_token(tmp_path)
