"""The last link of make -> sh -> bash -> alphamill ends when any link above it is gone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alphamill.cli import parent

CHAIN = """
import os, subprocess, sys
own = os.environ.setdefault("ALPHAMILL_EXIT_WITH_PARENT", str(os.getpid()))
depth, pids = int(sys.argv[1]), sys.argv[2]
with open(pids, "a") as file:
    print(os.getpid(), file=file, flush=True)
if depth:
    sys.exit(subprocess.call([sys.executable, __file__, str(depth - 1), pids]))
from alphamill.cli.parent import EXIT_WITH_PARENT, exit_with_parent
assert exit_with_parent() and EXIT_WITH_PARENT not in os.environ
with open(pids, "a") as file:
    print("watching", file=file, flush=True)
import time
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("link", [0, 1], ids=["outermost", "middle"])
def test_last_link_ends_when_a_link_above_is_killed(tmp_path: Path, link: int) -> None:
    script, pids = tmp_path / "chain.py", tmp_path / "pids"
    script.write_text(CHAIN)
    outermost = subprocess.Popen([sys.executable, script, "2", pids])
    chain: list[int] = []
    try:
        wait_until(lambda: pids.exists() and "watching" in pids.read_text())
        chain = [int(word) for word in pids.read_text().split()[:3]]
        os.kill(chain[link], signal.SIGKILL)
        wait_until(lambda: not alive(chain[2]))
    finally:
        outermost.kill()
        outermost.wait()
        for pid in filter(alive, chain):
            os.kill(pid, signal.SIGKILL)


def test_nothing_is_watched_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(parent.EXIT_WITH_PARENT, raising=False)
    assert parent.exit_with_parent() is None


def test_a_process_whose_starter_is_gone_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parent.EXIT_WITH_PARENT, "4194304")  # above the largest pid there can be
    with pytest.raises(SystemExit, match="is gone"):
        parent.exit_with_parent()


def test_ancestors_go_up_to_the_one_asked_for() -> None:
    grandparent = parent.parent_of(os.getppid())
    assert parent.ancestors(grandparent)[:2] == [os.getppid(), grandparent][: 2 if grandparent > 1 else 0]
    assert parent.ancestors(os.getpid()) == []
