"""The clock that history keeps."""

import datetime as dt

import polars as pl

from alphamill.domain.session_bars import SessionBars
from alphamill.errors import InvalidInput, NotFound


class BarClock:
    """The `Clock` port for backtest and replay: now is the close of the newest bar it was told of.

    It is a `BarListener` and never runs backwards: a late or corrected bar of an older session moves nothing.
    """

    def __init__(self) -> None:
        self._now: dt.datetime | None = None

    def now(self) -> dt.datetime:
        """Raises `NotFound` before the first bar."""
        if self._now is None:
            raise NotFound("no bar has closed yet.", remedy="Tell the clock of history first: on_bars().")
        return self._now

    def on_bars(self, bars: SessionBars | pl.DataFrame) -> None:
        """One session, or a frame of `BAR_SCHEMA`, of which the newest close counts; an empty one changes nothing."""
        if isinstance(bars, SessionBars):
            self.tell(bars.ts)
            return
        newest = bars["ts"].max()
        if isinstance(newest, dt.datetime):
            self.tell(newest)

    def tell(self, close: dt.datetime) -> None:
        """A bar closed at `close`.

        Raises
        ------
        InvalidInput
            `close` has no time zone.
        """
        if close.tzinfo is None:
            raise InvalidInput(f"{close} has no time zone.", field="close", remedy="Pass a UTC datetime.")
        close = close.astimezone(dt.UTC)
        self._now = close if self._now is None else max(self._now, close)
