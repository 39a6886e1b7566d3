"""Every benchmark runs on little data and gives its rows. Nothing is said about how fast."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.page import BENCHMARKS
from benchmarks.section import Section

REPO_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_quick_run_gives_rows(name: str, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", str(result)]
    ended = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    section = Section.from_dict(json.loads(result.read_text()))
    assert [row for row in section.rows if row.aim]
    assert all(row.ours > 0 and (row.peer is None or row.peer > 0) for row in section.rows)
