"""A decision trades at the next open or not at all."""

import datetime as dt
from collections.abc import Callable
from functools import cache
from typing import Any

from alphamill.ports import Clock

#: (calendar code, session close) -> why it is too late to trade on that session, or None.
Lateness = Callable[[str, dt.datetime], str | None]


def lateness(clock: Clock) -> Lateness:
    """Late means: by `clock`, the first open after the session's close has passed."""

    def reason(calendar: str, close: dt.datetime) -> str | None:
        opened = next_open(calendar, close)
        now = clock.now()
        return f"the session of {close:%Y-%m-%d} had its next open at {opened}; it is {now}" if now >= opened else None

    return reason


@cache
def next_open(calendar: str, close: dt.datetime) -> dt.datetime:
    """First open after `close`. A 24/7 calendar opens the moment it closes, so it gets its next close."""
    exchange = _calendar(calendar)
    if calendar == "24/7":
        return close + dt.timedelta(days=1)
    return exchange.next_open(close).to_pydatetime()  # type: ignore[no-any-return]


@cache
def _calendar(code: str) -> Any:
    import exchange_calendars

    return exchange_calendars.get_calendar(code, start="1990-01-01")
