"""A decision trades at the next open or not at all."""

import datetime as dt
from collections.abc import Callable
from typing import Final

from alphamill.domain.calendars import next_open
from alphamill.ports import Clock

MISSED: Final = "its open has passed"

#: When an order was decided -> why it can no longer reach its open, or None.
Late = Callable[[dt.datetime], str | None]

#: (calendar code, session close) -> why it is too late to trade on that session, or None.
Lateness = Callable[[str, dt.datetime], str | None]


def lateness(clock: Clock) -> Lateness:
    """Late means: by `clock`, the first open after the session's close has passed."""

    def reason(calendar: str, close: dt.datetime) -> str | None:
        opened, now = next_open(calendar, close), clock.now()
        return f"the session of {close:%Y-%m-%d} had its next open at {opened}; it is {now}" if now >= opened else None

    return reason
