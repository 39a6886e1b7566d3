"""Progress travels over a file and shows on a terminal or as plain lines."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from alphamill.adapters.files.progress import ProgressTail, report_progress
from alphamill.cli.progress import StageProgress
from alphamill.environment import PROGRESS_FILE
from alphamill.monitoring.progress import STAGES, Progress


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PROGRESS_FILE, str(tmp_path / "progress.jsonl"))
    return tmp_path / "progress.jsonl"


def test_line_round_trips() -> None:
    progress = Progress("train", 2, 8, "trial 2 of 8")
    assert Progress.from_line(progress.to_line()) == progress
    assert not progress.finished


@pytest.mark.parametrize(
    ("stage", "done", "total", "words"),
    [("cook", 1, 2, "unknown stage"), ("train", 3, 2, "not within"), ("train", float("nan"), 2, "not within")],
)
def test_nonsense_is_refused_by_whoever_reports_it(stage: str, done: float, total: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        report_progress(stage, done, total)


def test_without_a_listener_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROGRESS_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    report_progress("train", 1, 2)
    assert list(tmp_path.iterdir()) == []


def test_tail_gives_each_line_once_and_waits_for_a_half_written_one(path: Path) -> None:
    tail = ProgressTail(path)
    assert tail.read() == []
    report_progress("ingest", 0, 1)
    whole = Progress("ingest", 1, 1).to_line()
    with path.open("a") as file:
        file.write(whole[:10])
    assert tail.read() == [Progress("ingest", 0, 1)]
    with path.open("a") as file:
        file.write(whole[10:])
    assert tail.read() == [Progress("ingest", 1, 1)]
    assert tail.read() == []


def test_without_a_terminal_each_stage_says_when_it_starts_and_ends(path: Path) -> None:
    text = io.StringIO()
    with StageProgress(path, console=Console(file=text, width=100)) as shown:
        for done in (0, 1, 2):
            report_progress("train", done, 2, f"trial {done}")
    lines = text.getvalue().splitlines()
    assert lines[0] == "train       started  trial 0"
    assert lines[1].startswith("train       done in 0.")
    assert lines[1].endswith("trial 2")
    assert len(lines) == 2
    assert list(shown.seconds) == ["train"]


def test_stages_not_asked_for_are_not_shown(path: Path) -> None:
    text = io.StringIO()
    with StageProgress(path, stages=("trade",), console=Console(file=text)):
        report_progress("train", 1, 1)
    assert text.getvalue() == ""


def test_on_a_terminal_every_stage_has_a_line(path: Path) -> None:
    text = io.StringIO()
    with StageProgress(path, console=Console(file=text, force_terminal=True, width=100)):
        report_progress("train", 1, 2, "trial 1")
    assert all(stage in text.getvalue() for stage in STAGES)
    assert "trial 1" in text.getvalue()


def test_second_interrupt_leaves_the_terminal_with_its_cursor(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    shown = StageProgress(path, console=Console(file=text, width=100, force_terminal=True))

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), shown:
        monkeypatch.setattr(shown, "_show_new", interrupted)
    assert text.getvalue().rindex("\x1b[?25h") > text.getvalue().rindex("\x1b[?25l")
