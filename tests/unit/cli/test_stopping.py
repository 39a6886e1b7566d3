"""A command or a set-up that a person stops says so in one line."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = """
import sys, time
from alphamill.cli import __main__ as cli

@cli.app.command()
def wait():
    print("ready", flush=True)
    time.sleep(600)

sys.argv = ["alphamill", "wait"]
cli.main()
"""


def stopped(number: signal.Signals, *command: str | Path) -> tuple[int, list[str]]:
    """Exit status and lines on stderr of a command that gets the signal when it has printed its first line."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        os.kill(child.pid, number)
        _, errors = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    return child.returncode, errors.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_stopped_command_says_so_in_one_line(number: signal.Signals) -> None:
    status, errors = stopped(number, "-c", COMMAND)
    assert status == 128 + number
    assert errors == ["Stopped; what this command had started is stopped too."]


def test_stopped_set_up_says_so_in_one_line(tmp_path: Path) -> None:
    needed = ("scripts/setup.py", "src/alphamill/runtimes/embedded/guard.py", "src/alphamill/cli/parent.py")
    for name in (*needed, "pyproject.toml", "requirements.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    status, errors = stopped(signal.SIGINT, tmp_path / "scripts" / "setup.py")
    assert (status, errors) == (130, ["Set-up stopped; the next call starts it afresh."])
