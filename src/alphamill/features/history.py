"""Bars as growing numpy columns: what features and risk models read at every closed bar."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bar_columns import EPOCH, BarColumns, Floats, Micros, checked_columns, require_good
from alphamill.domain.bars import BAR_VALUES
from alphamill.domain.session_bars import SessionBars
from alphamill.errors import InvalidBar, MissingFeatures, UnknownSymbol
from alphamill.features.windows import BarWindow, NewestBars, adjusted_returns, shared_sessions

Places = npt.NDArray[np.int64]

_CLOSE, _FACTOR = (BAR_VALUES.index(name) for name in ("close", "price_factor"))
#: Universes whose rows are remembered.
_REMEMBERED: Final = 64
_NEVER: Final = np.iinfo(np.int64).min


class BarHistory:
    """Bars per symbol, in memory, appended session by session. One writer; not thread-safe.

    All symbols share one block, a row each, filled from the left: a session is appended, and the newest bars of all
    symbols are read, without a loop over symbols. A symbol's bars lie side by side, whatever sessions it lacks.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._sizes: Places = np.empty(0, dtype=np.int64)
        self._last: Micros = np.empty(0, dtype=np.int64)
        self._ts: Micros = np.empty((0, 0), dtype=np.int64)
        self._values: Floats = np.empty((len(BAR_VALUES), 0, 0))
        self._known: dict[tuple[str, ...], tuple[dict[str, int], Places]] = {}

    @classmethod
    def from_bars(cls, bars: pl.DataFrame) -> Self:
        """History of a frame with the columns of `BAR_SCHEMA`, each symbol's rows in time order.

        Raises
        ------
        InvalidBar
            As `append`.
        """
        history = cls()
        history.append(bars)
        return history

    def append(self, bars: pl.DataFrame | SessionBars) -> None:
        """Add bars, of one session or of many; all of them or, on an error, none.

        Raises
        ------
        InvalidBar
            A column is missing; a value is null, NaN, infinite or out of range; or a bar is not
            strictly newer than the one before it of the same symbol.
        """
        if isinstance(bars, pl.DataFrame):
            self._append_any(checked_columns(bars))
            return
        require_good(bars.values, lambda place: f"{bars.symbols[place]} at {bars.ts}")
        places, rows = self._places(bars.symbols)
        if len(places) == len(bars.symbols):
            self._append_session(rows, bars.ts_us, bars.values)
            return
        count = len(bars.symbols)
        self._append_any(
            BarColumns(bars.symbols, np.ones(count, dtype=np.int64), np.full(count, bars.ts_us), bars.values)
        )

    def _append_any(self, columns: BarColumns) -> None:
        new: dict[str, int] = {}
        rows = np.array([self._row_for(name, new) for name in columns.names], dtype=np.int64)
        rows = np.repeat(rows, columns.lengths)
        order = np.argsort(rows, kind="stable") if (rows[1:] < rows[:-1]).any() else slice(None)
        rows, ts, values = rows[order], columns.ts[order], columns.values[:, order]
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        counts = np.diff(first, append=ts.size)
        sizes = np.concatenate([self._sizes, np.zeros(len(new), dtype=np.int64)])
        last = np.concatenate([self._last, np.full(len(new), _NEVER)])
        before = np.concatenate([[_NEVER], ts])[:-1]
        before[first] = last[rows[first]]
        late = np.flatnonzero(ts <= before)
        if late.size:
            raise _not_newer({**self._rows, **new}, int(rows[late[0]]), int(ts[late[0]]))
        self._reserve(sizes.size, int((sizes[rows[first]] + counts).max(initial=0)))
        for start, count in zip(first.tolist(), counts.tolist(), strict=True):
            row, size = int(rows[start]), int(sizes[rows[start]])
            self._ts[row, size : size + count] = ts[start : start + count]
            self._values[:, row, size : size + count] = values[:, start : start + count]
        sizes[rows[first]] += counts
        last[rows[first]] = ts[first + counts - 1]
        self._sizes, self._last = sizes, last
        if new:
            self._rows.update(new)
            self._known.clear()

    def _append_session(self, rows: Places, ts: int, values: Floats) -> None:
        """One bar for each of `rows`, which are known and differ."""
        late = np.flatnonzero(ts <= self._last[rows])
        if late.size:
            raise _not_newer(self._rows, int(rows[late[0]]), ts)
        at = self._sizes[rows]
        self._reserve(self._sizes.size, int(at.max()) + 1)
        self._ts[rows, at] = ts
        self._values[:, rows, at] = values
        self._sizes[rows] += 1
        self._last[rows] = ts

    def _row_for(self, name: str, new: dict[str, int]) -> int:
        row = self._rows.get(name)
        return new.setdefault(name, len(self._rows) + len(new)) if row is None else row

    def _reserve(self, rows: int, bars: int) -> None:
        """Room for so many symbols and bars of each. Capacity doubles, so an append costs O(1) on average."""
        held, capacity = self._ts.shape
        if rows <= held and bars <= capacity:
            return
        if bars > capacity:
            capacity = max(bars, 2 * capacity, 64) if held else max(bars, 64)
        # New buffers instead of a resize: views handed out before stay valid.
        ts, values = np.empty((rows, capacity), dtype=np.int64), np.empty((len(BAR_VALUES), rows, capacity))
        used = int(self._sizes.max(initial=0))
        ts[:held, :used], values[:, :held, :used] = self._ts[:, :used], self._values[:, :, :used]
        self._ts, self._values = ts, values

    def amend(self, bars: pl.DataFrame) -> None:
        """Put corrected and late bars in their places: a known (symbol, ts) gets the new values, another is inserted.

        Costs what the histories of the symbols concerned cost, not the table; views handed out before show it too.
        Of an error nothing stays.

        Raises
        ------
        InvalidBar
            As `append`.
        """
        columns = checked_columns(bars.sort("symbol", "ts"))
        rows = np.repeat([self._rows.get(name, -1) for name in columns.names], columns.lengths)
        names = np.repeat(np.array(columns.names, dtype=object), columns.lengths)
        for name in dict.fromkeys(columns.names):
            at = np.flatnonzero(names == name)
            self._amend_one(name, columns.ts[at], columns.values[:, at], known=bool(rows[at[0]] >= 0))

    def _amend_one(self, symbol: str, ts: Micros, values: Floats, *, known: bool) -> None:
        held = self.window(symbol) if known else None
        before = np.empty(0, dtype=np.int64) if held is None else held.ts
        kept = ~np.isin(before, ts)
        stamps = np.concatenate([before[kept], ts])
        old = np.empty((len(BAR_VALUES), 0)) if held is None else np.stack([getattr(held, n) for n in BAR_VALUES])
        order = np.argsort(stamps, kind="stable")
        rows = np.concatenate([old[:, kept], values], axis=1)[:, order]
        if not known:
            self._append_any(BarColumns([symbol], np.array([ts.size]), stamps[order], rows))
            return
        self._reserve(self._sizes.size, stamps.size)
        row = self._row_of(symbol)
        self._ts[row, : stamps.size], self._values[:, row, : stamps.size] = stamps[order], rows
        self._sizes[row], self._last[row] = stamps.size, stamps[order][-1]

    def replace(self, bars: pl.DataFrame) -> None:
        """Start over with other bars, e.g. corrected ones; as `append`, the old ones stay on an error."""
        other = BarHistory.from_bars(bars)
        self.__dict__.update(other.__dict__)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Known symbols, sorted."""
        return tuple(sorted(self._rows))

    def last_ts(self, symbol: str) -> dt.datetime:
        """Close time of the symbol's newest bar; `UnknownSymbol` without one."""
        return _time(int(self._last[self._row_of(symbol)]))

    def window(self, symbol: str) -> BarWindow:
        """Views on all bars of a symbol; `UnknownSymbol` without any."""
        row = self._row_of(symbol)
        size = self._sizes[row]
        ts, values = self._ts[row, :size], self._values[:, row, :size]
        ts.flags.writeable = False
        values.flags.writeable = False
        return BarWindow(ts, *values)

    def newest(self, symbols: Sequence[str]) -> NewestBars:
        """The newest bars of those of `symbols` that have any."""
        places, rows = self._places(tuple(symbols))
        sizes = self._sizes[rows]
        values = self._values[:, rows, sizes - 1]
        columns = (values[BAR_VALUES.index(name)] for name in ("close", "volume", "price_factor", "split_factor"))
        return NewestBars(tuple(places), places, sizes, self._last[rows], *columns)

    def recent_ts(self, symbols: Sequence[str], bars: int) -> Micros:
        """Close times of the newest `bars` bars of each symbol [len(symbols), bars], oldest first, in microseconds.

        Every symbol must have that many (`newest` counts them).
        """
        _, rows = self._places(tuple(symbols))
        return self._ts[self._recent(rows, bars)]

    def adjusted_returns(self, symbols: Sequence[str], bars: int) -> Floats:
        """Close-to-close simple returns over the newest sessions that all symbols have, corporate actions taken out.

        ``r(t) = close(t) / (close(t-1) * price_factor(t)) - 1``: what one share held overnight made. Where one
        symbol lacks a session, the return of every symbol spans it, so that a row still compares like with like.

        Returns
        -------
        array of float64 [bars, len(symbols)], oldest session first.

        Raises
        ------
        MissingFeatures
            Names the symbol that has fewer than ``bars + 1`` bars, or that shares fewer sessions with the others.
        """
        if bars < 1:
            raise ValueError(f"bars must be at least 1, got {bars}")
        places, rows = self._places(tuple(symbols))
        if len(places) < len(symbols) or (self._sizes[rows] <= bars).any():
            sizes = dict(zip(places, self._sizes[rows].tolist(), strict=True))
            short = next((symbol for symbol in symbols if sizes.get(symbol, 0) <= bars), "a symbol given twice")
            raise MissingFeatures(
                f"{short} has {sizes.get(short, 0)} bars, {bars} returns need {bars + 1}.",
                field=short,
                remedy="Ingest more history, or ask for fewer bars.",
            )
        recent = self._recent(rows, bars + 1)
        stamps = self._ts[recent]
        if (stamps == stamps[0]).all():
            close, factor = self._values[_CLOSE][recent], self._values[_FACTOR][recent]
            return np.ascontiguousarray((close[:, 1:] / (close[:, :-1] * factor[:, 1:]) - 1.0).T)
        windows = [self.window(symbol) for symbol in symbols]
        sessions = shared_sessions(symbols, windows, bars + 1)
        return np.column_stack([adjusted_returns(window, np.searchsorted(window.ts, sessions)) for window in windows])

    def _recent(self, rows: Places, bars: int) -> tuple[Places, Places | slice]:
        """Where the newest `bars` bars of each row lie."""
        sizes = self._sizes[rows]
        if sizes.size and (sizes == sizes[0]).all():
            return rows, slice(int(sizes[0]) - bars, int(sizes[0]))
        return rows[:, None], sizes[:, None] + np.arange(-bars, 0)

    def _places(self, symbols: tuple[str, ...]) -> tuple[dict[str, int], Places]:
        """Those of `symbols` that have bars, numbered, and their rows; the same few universes ask at every bar."""
        found = self._known.get(symbols)
        if found is None:
            known = [symbol for symbol in symbols if symbol in self._rows]
            rows = np.array([self._rows[symbol] for symbol in known], dtype=np.int64)
            found = {symbol: i for i, symbol in enumerate(known)}, rows
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[symbols] = found
        return found

    def _row_of(self, symbol: str) -> int:
        try:
            return self._rows[symbol]
        except KeyError:
            raise UnknownSymbol(
                f"no bars of {symbol!r}.", field="symbol", remedy="Ingest its bars before asking for them."
            ) from None


def _not_newer(rows: Mapping[str, int], row: int, ts: int) -> InvalidBar:
    symbol = next(name for name, at in rows.items() if at == row)
    return InvalidBar(
        f"the bar of {symbol} at {_time(ts)} is not newer than the one before it.",
        field="ts",
        remedy="Give each symbol's bars once and in time order; a correction needs a new history.",
    )


def _time(micros: int) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=micros)
