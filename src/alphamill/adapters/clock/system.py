"""The wall clock: nothing else in the library asks for the time of day."""

import datetime as dt


class SystemClock:
    """The `Clock` port over the machine's time."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)
