"""Clocks: always UTC, and the bars' clock never runs backwards."""

import datetime as dt

import pytest

from alphamill.adapters.clock.bars import BarClock
from alphamill.adapters.clock.system import SystemClock
from alphamill.domain.bars import empty_bars
from alphamill.errors import InvalidInput, NotFound
from alphamill.testing.clock import ManualClock

CLOSE = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)


def test_system_clock_is_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is dt.UTC
    assert abs(now - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=10)


def test_bar_clock_has_no_time_before_the_first_bar() -> None:
    clock = BarClock()
    clock.on_bars(empty_bars())
    with pytest.raises(NotFound, match="no bar has closed"):
        clock.now()


def test_bar_clock_is_the_newest_close_it_was_told_of() -> None:
    clock = BarClock()
    bars = empty_bars().clear(n=2).with_columns(ts=CLOSE)
    clock.on_bars(bars)
    assert clock.now() == CLOSE
    clock.tell(CLOSE - dt.timedelta(days=1))
    assert clock.now() == CLOSE, "a late bar moves nothing"
    clock.tell((CLOSE + dt.timedelta(days=1)).astimezone(dt.timezone(dt.timedelta(hours=-5))))
    assert clock.now() == CLOSE + dt.timedelta(days=1)
    assert clock.now().tzinfo is dt.UTC


def test_clocks_refuse_a_time_without_zone() -> None:
    naive = CLOSE.replace(tzinfo=None)
    with pytest.raises(InvalidInput, match="no time zone"):
        BarClock().tell(naive)
    with pytest.raises(InvalidInput, match="no time zone"):
        ManualClock(naive)


def test_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(CLOSE)
    assert clock.now() == clock.now() == CLOSE
    clock.advance(dt.timedelta(hours=1))
    assert clock.now() == CLOSE + dt.timedelta(hours=1)
