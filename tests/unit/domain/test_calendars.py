"""Calendars reach as far whenever they are asked, and no further than an exchange has published."""

import datetime as dt

import pytest

from alphamill.domain.calendars import FIRST_DAY, LAST_DAY, next_open, sessions


@pytest.mark.parametrize("calendar", ["XNYS", "24/7"])
def test_a_calendar_without_bounds_reaches_from_the_first_day_to_the_last(calendar: str) -> None:
    days = sessions(calendar)["session"]
    assert days[0] - FIRST_DAY < dt.timedelta(days=5)
    assert LAST_DAY - days[-1] < dt.timedelta(days=5)


def test_a_calendar_whose_holidays_are_published_year_by_year_ends_there() -> None:
    import exchange_calendars

    bound = exchange_calendars.get_calendar("XBOM", start="2020-01-01", end="2020-12-31").bound_max().date()
    assert bound < LAST_DAY
    assert sessions("XBOM")["session"][-1] <= bound


def test_the_next_open_is_known_far_ahead() -> None:
    assert next_open("XNYS", dt.datetime(2035, 7, 3, 21, tzinfo=dt.UTC)) == dt.datetime(
        2035, 7, 5, 13, 30, tzinfo=dt.UTC
    )
