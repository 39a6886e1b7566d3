"""The bars of one closed session as columns: what the loop hands to the history, the broker and the clock."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import polars as pl

from alphamill.domain.bar_columns import EPOCH, Floats, numbers_of
from alphamill.domain.bars import BAR_VALUES, UTC_TS, session_close

_ROW: Final = {name: row for row, name in enumerate(BAR_VALUES)}


@dataclass(frozen=True, slots=True, eq=False)
class SessionBars:
    """One bar per symbol, all of one close `ts`; values [7, n] as `BAR_VALUES`, unchecked: a null is NaN.

    `places` says where each symbol stands; sessions of the same symbols share it.
    """

    ts: dt.datetime
    session: dt.date
    symbols: tuple[str, ...]
    places: Mapping[str, int]
    values: Floats

    @classmethod
    def of(cls, bars: "pl.DataFrame | SessionBars") -> "SessionBars":
        """The columns of a frame of `BAR_SCHEMA`; columns stay what they are.

        Raises
        ------
        ValueError
            The bars are of no session, or of several.
        InvalidBar
            A column is missing, or a bar has no symbol or no ts.
        """
        if isinstance(bars, SessionBars):
            return bars
        values = numbers_of(bars)
        symbols = tuple(bars["symbol"].to_list())
        return cls(session_close(bars), bars["session"][0], symbols, _places(symbols), values)

    @property
    def ts_us(self) -> int:
        """`ts` in microseconds since the epoch."""
        return (self.ts - EPOCH) // dt.timedelta(microseconds=1)

    def column(self, name: str) -> Floats:
        """One of `BAR_VALUES` [n]."""
        values: Floats = self.values[_ROW[name]]
        return values

    def only(self, symbols: Collection[str]) -> Self:
        """Without the bars of other symbols."""
        kept = tuple(symbol for symbol in self.symbols if symbol in symbols)
        values = self.values[:, [self.places[symbol] for symbol in kept]]
        return type(self)(self.ts, self.session, kept, _places(kept), values)


def sessions_of(bars: pl.DataFrame) -> Iterator[SessionBars]:
    """Every session of a frame of `BAR_SCHEMA`, oldest first, symbols in the order of the alphabet.

    Raises
    ------
    InvalidBar
        A column is missing, or a bar has no symbol or no ts.
    """
    bars = bars.sort("ts", "symbol")
    values = numbers_of(bars)
    stamps = bars["ts"].cast(UTC_TS).cast(pl.Int64).to_numpy()
    first = np.flatnonzero(np.diff(stamps, prepend=stamps[:1] - 1))
    starts = [*first.tolist(), bars.height]
    times, days = bars["ts"].gather(first).to_list(), bars["session"].gather(first).to_list()
    names = bars["symbol"].to_list()
    shared: dict[tuple[str, ...], tuple[tuple[str, ...], Mapping[str, int]]] = {}
    for ts, day, start, stop in zip(times, days, starts, starts[1:], strict=False):
        symbols = tuple(names[start:stop])
        if symbols not in shared:
            shared[symbols] = symbols, _places(symbols)
        yield SessionBars(ts, day, *shared[symbols], values[:, start:stop])


def _places(symbols: tuple[str, ...]) -> dict[str, int]:
    return {symbol: place for place, symbol in enumerate(symbols)}
