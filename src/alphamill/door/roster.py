"""Whose bars are awaited: what a door must know to say that a session is complete."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from alphamill.errors import InvalidConfig, UnknownSymbol


@dataclass(frozen=True, slots=True)
class Roster:
    """The symbols of one calendar.

    `gone_after` says at which close a symbol traded last; later sessions do not wait for it. `grace` is how long after
    a close a session waits for late symbols.
    """

    calendar: str
    symbols: frozenset[str]
    grace: dt.timedelta = dt.timedelta()
    gone_after: Mapping[str, dt.datetime] = field(default_factory=dict)

    def expected(self, close: dt.datetime) -> frozenset[str]:
        """Symbols whose bar the session closed at `close` waits for: those that still trade."""
        if not self.gone_after:
            return self.symbols
        return frozenset(s for s in self.symbols if s not in self.gone_after or close <= self.gone_after[s])


def calendar_of(rosters: Sequence[Roster], symbols: Collection[str]) -> str:
    """The calendar that all of `symbols` keep.

    Raises
    ------
    UnknownSymbol
        On no roster; names the known ones.
    """
    known = {symbol: roster.calendar for roster in rosters for symbol in roster.symbols}
    unknown = sorted(set(symbols) - known.keys())
    if unknown:
        raise UnknownSymbol(
            f"{', '.join(unknown)} is traded by no portfolio.",
            field="symbol",
            remedy=f"Known symbols: {', '.join(sorted(known))}.",
        )
    found = sorted({known[symbol] for symbol in symbols})
    if len(found) > 1:
        raise UnknownSymbol(
            f"one batch holds symbols of the calendars {', '.join(found)}.",
            field="symbol",
            remedy="Send the bars of each calendar apart.",
        )
    return found[0]


def require_one_calendar_each(rosters: Sequence[Roster]) -> None:
    """`InvalidConfig` where two rosters name one symbol: a bar has one close."""
    seen: dict[str, str] = {}
    for roster in rosters:
        for symbol in sorted(roster.symbols):
            other = seen.setdefault(symbol, roster.calendar)
            if other != roster.calendar:
                raise InvalidConfig(
                    f"{symbol} is traded on the calendars {other} and {roster.calendar}.",
                    field="universe.calendar",
                    remedy="A symbol has one calendar: trade it in portfolios of one.",
                )
