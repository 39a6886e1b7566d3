"""The door: a bar is durable before it is acknowledged, and complete sessions go into the bars table."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from alphamill.domain.events import BarsAppended
from alphamill.door.checks import BarChecks
from alphamill.door.roster import Roster, calendar_of, require_one_calendar_each
from alphamill.door.sessions import closed_sessions
from alphamill.errors import NotFound
from alphamill.ports import BarJournal, BarStore, Clock

#: How far back the newest bar is looked for, until one is found.
LOOK_BACK_DAYS: Final = (10, 100, 1_000, 40_000)
#: Nothing was merged yet.
NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


class Door:
    """Takes bars in and merges complete sessions. Any number may run on one journal and one table.

    `accept` may be called from any thread; `merge` from one at a time.

    Parameters
    ----------
    check
        Normalises and validates.
    journal
        Where accepted bars are durable.
    store
        The bars table.
    clock
        Says when the grace of a session is over.
    """

    def __init__(self, *, check: BarChecks, journal: BarJournal, store: BarStore, clock: Clock) -> None:
        self._check = check
        self._journal = journal
        self._store = store
        self._clock = clock
        self._rosters: tuple[Roster, ...] = ()
        self._merged: dict[str, dt.datetime] = {}
        self._seen_version = -2
        self._untidy = False

    def expect(self, rosters: Sequence[Roster]) -> None:
        """From now on wait for these symbols; `InvalidConfig` when two calendars claim one."""
        require_one_calendar_each(rosters)
        self._rosters = tuple(rosters)

    @property
    def symbols(self) -> frozenset[str]:
        """All that is awaited."""
        return frozenset(symbol for roster in self._rosters for symbol in roster.symbols)

    def accept(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Validate bars of `RAW_BAR_SCHEMA` and journal them; when this returns they survive a crash.

        Raises
        ------
        UnknownSymbol
            Nobody awaits this symbol, or the symbols keep several calendars.
        InvalidBar
            A rule of `alphamill.validation` is broken; nothing of the batch is stored.
        StoreUnavailable
            The journal did not take the batch; nothing is acknowledged.
        """
        names = raw["symbol"].drop_nulls().str.strip_chars().str.to_uppercase().unique().to_list()
        bars = self._check(raw, calendar_of(self._rosters, names))
        self._journal.append(bars)
        return bars

    def merge(self) -> list[BarsAppended]:
        """Merge every session that is complete into the bars table; one event per session, none lost by an error."""
        pending = self._journal.pending()
        if pending.is_empty():
            return []
        self._look(pending["session"].min())  # type: ignore[arg-type]
        events = []
        for roster in self._rosters:
            own = pending.filter(pl.col("symbol").is_in(roster.symbols))
            for session in self._closed(own, roster):
                events.append(self._merge(session, roster))
        return events

    def tidy(self) -> None:
        """Let the bar store put itself in order after merges; to be called when nothing waits."""
        if self._untidy:
            self._store.tidy()
            self._untidy = False
            self._seen_version = self._store.version()

    def _closed(self, pending: pl.DataFrame, roster: Roster) -> Iterator[pl.DataFrame]:
        return closed_sessions(
            pending,
            expected=roster.expected,
            merged=self._merged.get(roster.calendar, NEVER),
            now=self._now(),
            grace=roster.grace,
        )

    def _merge(self, session: pl.DataFrame, roster: Roster) -> BarsAppended:
        ts = session["ts"][0]
        self._seen_version = version = self._store.append(session)
        self._untidy = True
        # Before the journal is told: its answer may be lost, and the bars are in the table all the same.
        self._merged[roster.calendar] = max(self._merged.get(roster.calendar, ts), ts)
        self._journal.mark_merged(session)
        symbols = tuple(session["symbol"])
        return BarsAppended(session=session["session"][0], close=ts, symbols=symbols, version=version)

    def _now(self) -> dt.datetime:
        try:
            return self._clock.now()
        except NotFound:  # time is told by bars, and none has closed yet
            return NEVER

    def _look(self, first: dt.date) -> None:
        """Which session of each calendar is the newest in the table; asked again when somebody else wrote to it."""
        version = self._store.version()
        if version == self._seen_version and all(roster.calendar in self._merged for roster in self._rosters):
            return
        for roster in self._rosters:
            newest = self._newest(roster, version, first) if version >= 0 else None
            self._merged[roster.calendar] = max(newest or NEVER, self._merged.get(roster.calendar, NEVER))
        self._seen_version = version

    def _newest(self, roster: Roster, version: int, first: dt.date) -> dt.datetime | None:
        """Close of the newest bar, looked for around `first` and then further back: no table is read whole for it."""
        for days in LOOK_BACK_DAYS:
            start = first - dt.timedelta(days=min(days, first.toordinal() - 1))
            stamps = self._store.read(symbols=sorted(roster.symbols), start=start, version=version)["ts"]
            if not stamps.is_empty():
                return stamps.max()  # type: ignore[return-value]
        return None
