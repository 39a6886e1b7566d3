"""A runtime's children never outlive it, however it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alphamill import environment, processes
from alphamill.errors import Conflict, Unavailable
from alphamill.runtimes.embedded import Runtime, children, free_port, guard, watch
from alphamill.runtimes.embedded import redis as embedded_redis
from alphamill.settings import Settings

#: A runtime with Redis, a forecaster that still starts, and a step: an unguarded process that watches the runtime.
RUNTIME = """
import subprocess, sys
from pathlib import Path
from alphamill.runtimes.embedded import Runtime
from alphamill.settings import Settings
with Runtime(Settings(home=Path(sys.argv[1]))) as runtime:
    runtime.start("forecaster", [sys.executable, "-m", "serving.forecaster", "--model-dir", sys.argv[3]])
    step = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE, text=True)
    pids = [step.pid, int(step.stdout.readline())]
    pids += [pid for child in runtime.children() for pid in (child.pid, child.guard_pid)]
    print(*pids, flush=True)
    step.wait()
"""
STEP = """
import subprocess, time
from alphamill.runtimes.embedded.watch import exit_with_runtime
assert exit_with_runtime()
print(subprocess.Popen(["sleep", "300"]).pid, flush=True)
time.sleep(300)
"""


def eventually(condition: Callable[[], bool], timeout_secs: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_secs
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if guard.birth(pid)]


@pytest.fixture
def runtime_process(tmp_path: Path, forecaster_dir: Path) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-c", RUNTIME, str(home), STEP, str(forecaster_dir)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    yield process, pids, home
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.kill, signal.SIGKILL), (os.kill, signal.SIGTERM), (os.kill, signal.SIGINT), (os.killpg, signal.SIGINT)],
    ids=["kill -9", "SIGTERM", "SIGINT", "Ctrl-C in a terminal"],
)
def test_no_process_outlives_a_runtime_that_is_signalled(
    runtime_process: tuple[subprocess.Popen[str], list[int], Path],
    send: Callable[[int, int], None],
    number: signal.Signals,
) -> None:
    process, pids, home = runtime_process
    assert len(pids) == 6
    assert alive(pids) == pids

    send(process.pid, number)
    process.wait(20)

    assert eventually(lambda: not alive(pids)), f"still there: {alive(pids)}"
    with Runtime(Settings(home=home)) as again:
        assert [child.name for child in again.children()] == ["redis"]


def test_next_runtime_can_start_at_once_after_a_kill(
    runtime_process: tuple[subprocess.Popen[str], list[int], Path],
) -> None:
    process, pids, home = runtime_process
    process.kill()
    process.wait()
    with Runtime(Settings(home=home)) as again:
        assert embedded_redis.answers(again.settings.redis_url.get_secret_value())
        assert eventually(lambda: not alive(pids))
        assert embedded_redis.answers(again.settings.redis_url.get_secret_value())


def test_second_runtime_on_the_same_home_is_refused_with_the_pid(
    runtime_process: tuple[subprocess.Popen[str], list[int], Path],
) -> None:
    process, pids, home = runtime_process
    with pytest.raises(Conflict, match=f"pid {process.pid}"), Runtime(Settings(home=home)):
        pass
    assert alive(pids) == pids


def test_same_process_cannot_open_its_home_twice(runtime: Runtime) -> None:
    with pytest.raises(Conflict, match="this process"), Runtime(Settings(home=runtime.home)):
        pass
    assert embedded_redis.answers(runtime.settings.redis_url.get_secret_value())


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_killing_the_guard_kills_its_child(runtime: Runtime) -> None:
    child = runtime.start("guardless", ["sleep", "300"])
    os.kill(child.guard_pid, signal.SIGKILL)
    assert eventually(lambda: not child.alive)


def test_runtime_exports_what_children_need_and_takes_it_back(tmp_path: Path) -> None:
    with Runtime(Settings(home=tmp_path)) as opened:
        assert os.environ[environment.HOME] == str(tmp_path)
        assert os.environ[environment.REDIS_URL] == opened.settings.redis_url.get_secret_value()
        assert not watch.exit_with_runtime(), "the runtime does not watch itself"
    assert environment.HOME not in os.environ
    assert environment.REDIS_URL not in os.environ


def test_redis_keeps_its_rows_over_a_restart(tmp_path: Path) -> None:
    import redis

    for expected in (None, b"0.25"):
        with (
            Runtime(Settings(home=tmp_path)) as opened,
            redis.Redis.from_url(opened.settings.redis_url.get_secret_value()) as client,
        ):
            assert client.get("row") == expected
            client.set("row", "0.25")


def test_child_is_stopped_with_its_group(runtime: Runtime) -> None:
    child = runtime.start("group", ["sh", "-c", "sleep 300 & echo $!; wait"])
    assert eventually(lambda: child.log_tail().strip().isdigit())
    grandchild = int(child.log_tail())
    children.stop(child)
    assert not child.alive
    assert not child.guarded
    assert eventually(lambda: not guard.birth(grandchild))
    assert child.name not in [running.name for running in runtime.children()]


def test_child_that_ignores_sigterm_is_killed_after_its_grace(runtime_home: Path) -> None:
    child = children.start(
        "stubborn", ["sh", "-c", "trap '' TERM; echo set; sleep 300"], home=runtime_home, grace_secs=0.2
    )
    assert eventually(lambda: "set" in child.log_tail())
    children.stop(child)
    assert not child.alive


def test_child_that_dies_at_start_is_reported_with_its_log(runtime_home: Path) -> None:
    with pytest.raises(Unavailable, match="no such model"):
        children.wait_ready(
            children.start("failing", ["sh", "-c", "echo no such model; exit 3"], home=runtime_home),
            lambda: False,
            timeout_secs=10,
        )


def test_command_that_does_not_exist_is_reported(runtime_home: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        children.start("absent", ["/no/such/command"], home=runtime_home)


def test_no_child_starts_without_a_runtime(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no runtime owns"):
        children.start("lonely", ["sleep", "1"], home=tmp_path)


def test_child_that_is_never_ready_times_out(runtime: Runtime) -> None:
    child = runtime.start("mute", ["sleep", "300"])
    with pytest.raises(Unavailable, match="not ready after"):
        children.wait_ready(child, lambda: False, timeout_secs=0.1)
    children.stop(child)


def test_redis_takes_another_port_when_its_own_is_snatched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        monkeypatch.setattr(children, "free_port", lambda: next(ports, None) or free_port())
        with Runtime(Settings(home=tmp_path)) as opened:
            assert embedded_redis.answers(opened.settings.redis_url.get_secret_value())
            assert str(taken.getsockname()[1]) not in opened.settings.redis_url.get_secret_value()


def test_descendants_are_found_over_generations() -> None:
    with subprocess.Popen(["sh", "-c", "sh -c 'sleep 300 & echo $!; wait'"], stdout=subprocess.PIPE, text=True) as top:
        assert top.stdout is not None
        grandchild = int(top.stdout.readline())
        assert grandchild in processes.descendants(top.pid)
        assert grandchild in processes.descendants(os.getpid())
        processes.kill_descendants(top.pid)
        top.kill()
    assert eventually(lambda: not guard.birth(grandchild))
