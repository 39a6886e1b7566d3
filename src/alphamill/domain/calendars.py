"""Exchange sessions as columns: the one place that asks exchange_calendars."""

import datetime as dt
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.errors import InvalidConfig

#: Older bars are outside of the calendar. A library default of 20 years would call real history "no session".
FIRST_DAY: Final = dt.date(1970, 1, 1)
#: Later ones too. Fixed, so that the same question has the same answer whenever it is asked, and far: no process
#: lives so long. Further costs time at every start.
LAST_DAY: Final = dt.date(2039, 12, 31)
#: Any short stretch: an instance is needed to ask how far its calendar reaches.
_PROBE: Final = ("2020-01-01", "2020-12-31")


def sessions(calendar: str) -> pl.DataFrame:
    """All sessions of an exchange from 1970 to `LAST_DAY`, or as far as it has published its holidays.

    Parameters
    ----------
    calendar
        An exchange_calendars code, e.g. ``XNYS`` or ``24/7``.

    Returns
    -------
    pl.DataFrame
        Columns ``session`` (Date, ascending, unique), ``open_ts`` and ``close_ts`` (UTC, early closes included) and
        ``number`` (Int64, 0, 1, 2 ...). Cached: do not change it in place.

    Raises
    ------
    InvalidConfig
        The code is unknown.
    """
    return _sessions(calendar)


def sessions_around(calendar: str, days: pl.Series) -> pl.DataFrame:
    """The rows of `sessions` from the first to the last of `days` (Date, nulls left out): what a join on them needs."""
    first, last = days.min(), days.max()
    if first is None:
        return sessions(calendar).head(0)
    known = _times(calendar).days
    return sessions(calendar)[bisect_left(known, first) : bisect_right(known, last)]  # type: ignore[type-var]


@lru_cache(maxsize=16)
def _sessions(calendar: str) -> pl.DataFrame:
    import exchange_calendars
    from exchange_calendars.errors import InvalidCalendarName

    try:
        # Some calendars refuse an early start or a late end; only an instance knows which are allowed.
        probe = exchange_calendars.get_calendar(calendar, start=_PROBE[0], end=_PROBE[1])
        earliest, latest = probe.bound_min(), probe.bound_max()
        first = FIRST_DAY if earliest is None else max(FIRST_DAY, earliest.date())
        last = LAST_DAY if latest is None else min(LAST_DAY, latest.date())
        days = exchange_calendars.get_calendar(calendar, start=first.isoformat(), end=last.isoformat())
    except InvalidCalendarName as error:
        raise InvalidConfig(
            f"calendar {calendar!r} is unknown.",
            field="calendar",
            remedy="Use an exchange_calendars code such as XNYS, XLON or 24/7.",
        ) from error
    times = {"open_ts": days.opens, "close_ts": days.closes}
    columns = {name: series.dt.tz_convert(None).to_numpy() for name, series in times.items()}
    utc = pl.col(*times).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_TS)
    return pl.DataFrame({"session": days.closes.index.to_numpy(), **columns}).select(
        pl.col("session").cast(pl.Date), utc, pl.int_range(pl.len(), dtype=pl.Int64).alias("number")
    )


@dataclass(frozen=True, slots=True)
class _Times:
    """Days and opens as Python objects: asked for at every bar, where a search in a column costs more than the bar."""

    days: list[dt.date]
    opens: list[dt.datetime]
    closes: list[dt.datetime]
    open_of: dict[dt.date, dt.datetime]


@lru_cache(maxsize=16)
def _times(calendar: str) -> _Times:
    days = _sessions(calendar)
    dates, opens, closes = (days[name].to_list() for name in ("session", "open_ts", "close_ts"))
    return _Times(dates, opens, closes, dict(zip(dates, opens, strict=True)))


def next_open(calendar: str, close: dt.datetime) -> dt.datetime:
    """The first open strictly after `close`; a calendar that never closes opens with its next session.

    Raises
    ------
    InvalidConfig
        The code is unknown, or `close` is beyond the calendar.
    """
    opens = _times(calendar).opens
    after = bisect_right(opens, close)
    if after == len(opens):
        raise InvalidConfig(f"calendar {calendar!r} has no session after {close}.", field="calendar")
    return opens[after]


def last_close(calendar: str, day: dt.date) -> dt.datetime:
    """The close of the newest session that is not after `day`, UTC.

    Raises
    ------
    InvalidConfig
        The code is unknown, or the calendar does not reach `day`.
    """
    days = sessions(calendar)
    at = days["session"].search_sorted(day, side="right")
    if at == 0 or day > days["session"][-1]:
        reach = f"{days['session'][0]} to {days['session'][-1]}"
        raise InvalidConfig(
            f"{day} is outside of calendar {calendar!r}, {reach}.",
            field="last_session",
            remedy="Give a day within it.",
        )
    return days["close_ts"][at - 1]  # type: ignore[no-any-return]


def session_open(calendar: str, session: dt.date) -> dt.datetime:
    """When a session opens, UTC.

    Raises
    ------
    InvalidConfig
        The code is unknown, or the day is no session of the calendar.
    """
    try:
        return _times(calendar).open_of[session]
    except KeyError:
        raise InvalidConfig(f"{session} is no session of calendar {calendar!r}.", field="calendar") from None


def sessions_closed_between(calendar: str, after: dt.datetime, before: dt.datetime) -> list[dt.date]:
    """Sessions whose close lies strictly between two moments, oldest first; `InvalidConfig` for an unknown code."""
    times = _times(calendar)
    return times.days[bisect_right(times.closes, after) : bisect_left(times.closes, before)]


def sessions_between(calendar: str, start: dt.date, until: dt.date) -> pl.DataFrame:
    """The rows of `sessions` with start <= session <= until."""
    return sessions(calendar).filter(pl.col("session").is_between(start, until))
