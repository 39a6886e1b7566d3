"""Pipelines run on this machine: outputs come back, errors come back readable, nothing outlives the caller."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alphamill import environment
from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.files.progress import ProgressTail
from alphamill.adapters.kfp.local import PipelineRun, new_run_dir, progress_file, run_pipeline
from alphamill.errors import AlphamillError, DataUnfit
from alphamill.monitoring.progress import Progress

HERE = Path(__file__).parent
DEADLINE_SECS = 30.0


def run(home: Path, how: str = "accept") -> PipelineRun:
    return run_toy(home, "toy", number=3, how=how)


def run_toy(home: Path, name: str, **arguments: object) -> PipelineRun:
    env = environment.inherited({"PYTHONPATH": str(HERE)})
    return run_pipeline(f"toy_pipeline:{name}", arguments, new_run_dir(home, name, SYSTEM_CLOCK.now()), env=env)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_outputs_and_progress_of_every_step_come_back(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.outputs == {"add-one": {"Output": 4}, "check-small": {"Output": "4 is fine"}}
    assert ProgressTail(progress_file(done.run_dir)).read() == [Progress("ingest", 1, 1, "3 + 1")]


def test_error_of_a_step_keeps_its_class_and_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(DataUnfit, match=r"step check-small failed: 4 is too large\. Take a smaller one\.") as caught:
        run(tmp_path, "refuse")
    assert caught.value.field == "step check-small"
    assert "pipeline.log" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("how", "words"), [("divide", "ZeroDivisionError: division by zero"), ("exit", "ended without an exception")]
)
def test_crash_of_a_step_says_what_happened(tmp_path: Path, how: str, words: str) -> None:
    with pytest.raises(AlphamillError, match=rf"step check-small failed: .*{words}") as caught:
        run(tmp_path, how)
    assert type(caught.value) is AlphamillError


@pytest.mark.parametrize(("number", "taken"), [(4, True), (3, False)])
def test_branch_is_taken_only_if_its_condition_holds(tmp_path: Path, number: int, taken: bool) -> None:
    assert ("add-one" in run_toy(tmp_path, "branch", number=number).outputs) is taken


def test_condition_that_cannot_be_evaluated_is_an_error_not_false(tmp_path: Path) -> None:
    with pytest.raises(AlphamillError, match="Could not resolve"):
        run_toy(tmp_path, "named", number=4)


def test_pipeline_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(AlphamillError, match=r"pipeline pipelines\.no_such:thing failed: No module named"):
        run_pipeline("pipelines.no_such:thing", {}, new_run_dir(tmp_path, "x", SYSTEM_CLOCK.now()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_step_dies_with_its_caller(tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    program = (
        "import signal, sys, polars; from pathlib import Path;"  # polars changes how Ctrl-C arrives
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));"
        f"sys.path.insert(0, {str(HERE)!r}); import test_kfp_local;"
        f"test_kfp_local.run(Path({str(tmp_path)!r}), 'wait:{pid_file}')"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: pid_file.exists() and pid_file.read_text())
        step = int(pid_file.read_text())
        assert alive(step)
        os.kill(caller.pid, number)
        caller.wait(DEADLINE_SECS)
        wait_until(lambda: not alive(step))
    finally:
        caller.kill()
        caller.wait()
