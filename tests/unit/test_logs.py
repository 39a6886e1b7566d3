"""One process, one way to log: for a person on a terminal, as JSON elsewhere, with the ids of what a line is about."""

import datetime as dt
import io
import json
import logging
import sys

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from alphamill.logs import configure
from alphamill.settings import Settings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_away_from_a_terminal_a_line_is_json_with_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Settings(), "controller")
    structlog.get_logger("alphamill.x").warning("session merged", bars=3)
    (line,) = lines(capsys)
    assert (line["event"], line["bars"], line["level"]) == ("session merged", 3, "warning")
    assert (line["logger"], line["process"]) == ("alphamill.x", "controller")
    assert dt.datetime.fromisoformat(str(line["timestamp"])).utcoffset() == dt.timedelta(0)


def test_on_a_terminal_a_line_is_for_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    configure(Settings(), "cli")
    structlog.get_logger("alphamill.x").warning("session merged", bars=3)
    assert "session merged" in stream.getvalue()
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(stream.getvalue())


def test_lines_of_libraries_come_out_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(), "controller")
    logging.getLogger("some.library").warning("retrying in %d s", 3)
    logging.getLogger("some.library").info("nobody needs this")
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["process"]) == ("retrying in 3 s", "some.library", "controller")


def test_the_setting_decides_what_our_own_lines_say(capsys: pytest.CaptureFixture[str]) -> None:
    for level in ("WARNING", "DEBUG"):
        configure(Settings(log_level=level), "controller")
        structlog.get_logger("alphamill.x").debug(f"at {level}")
    assert [line["event"] for line in lines(capsys)] == ["at DEBUG"]


def test_configured_again_nothing_is_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for process in ("cli", "controller"):
        configure(Settings(), process)
    structlog.get_logger("alphamill.x").warning("once")
    assert [line["process"] for line in lines(capsys)] == ["controller"]


def test_bound_ids_are_in_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(), "controller")
    with bound_contextvars(request_id="r1", decision_id="dec_1"):
        structlog.get_logger("alphamill.x").warning("ours")
        logging.getLogger("some.library").warning("theirs")
    assert [(line["request_id"], line["decision_id"]) for line in lines(capsys)] == [("r1", "dec_1")] * 2


def test_an_exception_is_text_of_its_line_without_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(), "controller")
    try:
        local = "a value of a local variable".upper()
        raise ValueError("no good")
    except ValueError:
        structlog.get_logger("alphamill.x").exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: no good" in str(line["exception"])
    assert local not in str(line)
