"""When a session may be merged: complete, corrected, moved on from, or out of grace."""

import datetime as dt
from collections.abc import Callable

import polars as pl

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.door.sessions import closed_sessions

UNIVERSE = frozenset("ABC")
DAY = dt.timedelta(days=1)
T0 = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)


def pending(*bars: tuple[int, str]) -> pl.DataFrame:
    rows = [
        dict.fromkeys(BAR_SCHEMA, None) | {"symbol": symbol, "ts": T0 + day * DAY, "session": (T0 + day * DAY).date()}
        for day, symbol in bars
    ]
    return pl.DataFrame(rows, schema=BAR_SCHEMA)


def everybody(close: dt.datetime) -> frozenset[str]:
    return UNIVERSE


def closed(
    bars: pl.DataFrame,
    *,
    merged: int = 0,
    now: int | float = 0,
    expected: Callable[[dt.datetime], frozenset[str]] = everybody,
) -> list[tuple[int, str]]:
    sessions = closed_sessions(
        bars, expected=expected, merged=T0 + merged * DAY, now=T0 + now * DAY, grace=dt.timedelta(minutes=15)
    )
    return [((s["ts"][0] - T0).days, "".join(s["symbol"])) for s in sessions]


def test_a_complete_session_is_closed() -> None:
    assert closed(pending((1, "A"), (1, "B"), (1, "C"))) == [(1, "ABC")]


def test_an_incomplete_session_waits_and_holds_back_later_ones() -> None:
    assert closed(pending((1, "A"), (2, "A"), (2, "B"), (2, "C"))) == []


def test_a_session_is_closed_without_late_symbols_after_the_grace_period() -> None:
    assert closed(pending((1, "A")), now=1.02) == [(1, "A")]
    assert closed(pending((1, "A")), now=1.005) == []


def test_a_majority_that_moved_on_closes_the_session_without_the_missing_symbol() -> None:
    assert closed(pending((1, "A"), (1, "B"), (2, "A"))) == []
    assert closed(pending((1, "A"), (1, "B"), (2, "A"), (2, "B"))) == [(1, "AB")]


def test_a_bar_of_the_far_future_does_not_close_a_session_that_just_began() -> None:
    assert closed(pending((1, "A"), (4000, "A"))) == []


def test_corrections_of_settled_sessions_are_always_ready() -> None:
    assert closed(pending((-1, "B"), (1, "A"))) == [(-1, "B")]


def test_a_session_does_not_wait_for_a_symbol_that_no_longer_trades() -> None:
    def until_the_first(close: dt.datetime) -> frozenset[str]:
        return UNIVERSE if close <= T0 + DAY else frozenset("AB")

    assert closed(pending((1, "A"), (1, "B")), expected=until_the_first) == []
    assert closed(pending((1, "A"), (1, "B"), (1, "C"), (2, "A"), (2, "B")), expected=until_the_first) == [
        (1, "ABC"),
        (2, "AB"),
    ]
