"""A clock that a test sets."""

import datetime as dt

from alphamill.errors import InvalidInput


class ManualClock:
    """The `Clock` port; stands still until `advance` or `set`."""

    def __init__(self, start: dt.datetime = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)) -> None:
        self.set(start)

    def now(self) -> dt.datetime:
        return self._now

    def set(self, now: dt.datetime) -> None:
        if now.tzinfo is None:
            raise InvalidInput(f"{now} has no time zone.", field="now", remedy="Pass a UTC datetime.")
        self._now = now.astimezone(dt.UTC)

    def advance(self, by: dt.timedelta) -> None:
        self.set(self._now + by)
