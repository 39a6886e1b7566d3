"""The wall clock: nothing else in the library asks for the time of day."""

import datetime as dt
from typing import Final


class SystemClock:
    """The `Clock` port over the machine's time."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)


#: It has no state: one is enough for whoever is handed no other.
SYSTEM_CLOCK: Final = SystemClock()
