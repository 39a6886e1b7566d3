"""Bars as growing numpy columns: what features and risk models read at every closed bar."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bars import BAR_VALUES
from alphamill.errors import InvalidBar, MissingFeatures, UnknownSymbol

Floats = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]

_VOLUME: Final = BAR_VALUES.index("volume")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class BarWindow:
    """All bars of one symbol, oldest first: read-only views, each of shape [n].

    `ts` is microseconds since the epoch (UTC). Prices and volume are raw; never NaN.
    """

    ts: Micros
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    price_factor: Floats
    split_factor: Floats


class _Columns:
    """Buffers of one symbol. Capacity doubles, so an append costs O(1) on average."""

    __slots__ = ("size", "ts", "values")

    def __init__(self) -> None:
        self.size = 0
        self.ts: Micros = np.empty(64, dtype=np.int64)
        self.values: Floats = np.empty((len(BAR_VALUES), 64))

    def extend(self, ts: Micros, values: Floats) -> None:
        end = self.size + ts.size
        if end > self.ts.size:
            capacity = max(end, 2 * self.ts.size)
            # New buffers instead of a resize: views handed out before stay valid.
            grown_ts, grown_values = np.empty(capacity, dtype=np.int64), np.empty((len(BAR_VALUES), capacity))
            grown_ts[: self.size] = self.ts[: self.size]
            grown_values[:, : self.size] = self.values[:, : self.size]
            self.ts, self.values = grown_ts, grown_values
        self.ts[self.size : end] = ts
        self.values[:, self.size : end] = values
        self.size = end


class BarHistory:
    """Bars per symbol, in memory, appended session by session. One writer; not thread-safe."""

    def __init__(self) -> None:
        self._columns: dict[str, _Columns] = {}

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

    def append(self, session_bars: pl.DataFrame) -> None:
        """Add bars; all of them or, on an error, none.

        Raises
        ------
        InvalidBar
            A column is missing; a value is null, NaN, infinite or out of range; or a bar is not
            strictly newer than the one before it of the same symbol.
        """
        symbols, ts, values = _checked_arrays(session_bars)
        if not symbols.size:
            return
        names, first = np.unique(symbols, return_index=True)
        bounds = [*first.tolist(), symbols.size]
        for name, start, stop in zip(names.tolist(), bounds, bounds[1:], strict=False):
            self._check_order(name, ts[start:stop])
        for name, start, stop in zip(names.tolist(), bounds, bounds[1:], strict=False):
            self._columns.setdefault(name, _Columns()).extend(ts[start:stop], values[:, start:stop])

    def replace(self, bars: pl.DataFrame) -> None:
        """Start over with other bars, e.g. corrected ones; as `append`, the old ones stay on an error."""
        self._columns = BarHistory.from_bars(bars)._columns

    @property
    def symbols(self) -> tuple[str, ...]:
        """Known symbols, sorted."""
        return tuple(sorted(self._columns))

    def last_ts(self, symbol: str) -> dt.datetime:
        """Close time of the symbol's newest bar; `UnknownSymbol` without one."""
        columns = self._of(symbol)
        return _time(int(columns.ts[columns.size - 1]))

    def window(self, symbol: str) -> BarWindow:
        """Views on all bars of a symbol; `UnknownSymbol` without any."""
        columns = self._of(symbol)
        ts, values = columns.ts[: columns.size], columns.values[:, : columns.size]
        ts.flags.writeable = False
        values.flags.writeable = False
        return BarWindow(ts, *values)

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
        for symbol in symbols:
            size = self._columns[symbol].size if symbol in self._columns else 0
            if size <= bars:
                raise MissingFeatures(
                    f"{symbol} has {size} bars, {bars} returns need {bars + 1}.",
                    field=symbol,
                    remedy="Ingest more history, or ask for fewer bars.",
                )
        windows = [self.window(symbol) for symbol in symbols]
        sessions = _shared_sessions(symbols, windows, bars + 1)
        return np.column_stack([_returns(window, np.searchsorted(window.ts, sessions)) for window in windows])

    def _of(self, symbol: str) -> _Columns:
        try:
            return self._columns[symbol]
        except KeyError:
            raise UnknownSymbol(
                f"no bars of {symbol!r}.", field="symbol", remedy="Ingest its bars before asking for them."
            ) from None

    def _check_order(self, symbol: str, ts: Micros) -> None:
        columns = self._columns.get(symbol)
        before = columns.ts[columns.size - 1 : columns.size] if columns else ts[:0]
        late = np.flatnonzero(np.diff(ts, prepend=before) <= 0)
        if late.size:
            # With nothing before, diff starts at the second bar.
            bad = int(ts[late[0] + 1 - before.size])
            raise InvalidBar(
                f"the bar of {symbol} at {_time(bad)} is not newer than the one before it.",
                field="ts",
                remedy="Give each symbol's bars once and in time order; a correction needs a new history.",
            )


def _shared_sessions(symbols: Sequence[str], windows: Sequence[BarWindow], count: int) -> Micros:
    """The newest `count` sessions that every window has."""
    shared = windows[0].ts[-count:]
    if all(np.array_equal(window.ts[-count:], shared) for window in windows):
        return shared
    shared = windows[0].ts
    for symbol, window in zip(symbols, windows, strict=True):
        shared = np.intersect1d(shared, window.ts, assume_unique=True)
        if shared.size < count:
            raise MissingFeatures(
                f"{symbol} shares {shared.size} sessions with the symbols before it, {count} are needed.",
                field=symbol,
                remedy="Ingest the missing bars, or leave the symbol out.",
            )
    return shared[-count:]


def _returns(window: BarWindow, at: npt.NDArray[np.int64]) -> Floats:
    """Adjusted returns between the bars number `at`, ascending."""
    factors = np.multiply.reduceat(window.price_factor[: at[-1] + 1], at[:-1] + 1)
    close = window.close[at]
    returns: Floats = close[1:] / (close[:-1] * factors) - 1.0
    return returns


def _checked_arrays(bars: pl.DataFrame) -> tuple[npt.NDArray[np.object_], Micros, Floats]:
    """Symbols, times and values [7, rows], stably sorted by symbol."""
    missing = [name for name in ("symbol", "ts", *BAR_VALUES) if name not in bars.columns]
    if missing:
        raise InvalidBar(f"bars lack the columns {missing}.", field=missing[0], remedy="Give all of BAR_SCHEMA.")
    bars = bars.select("symbol", "ts", *BAR_VALUES)
    if bars["symbol"].null_count() or bars["ts"].null_count():
        raise InvalidBar("a bar has no symbol or no ts.", field="ts", remedy="Quarantine it in validation.")
    bars = bars.sort("symbol", maintain_order=True)
    values = bars.select(pl.col(BAR_VALUES).cast(pl.Float64)).to_numpy().T
    good = np.isfinite(values) & (values > 0)
    good[_VOLUME] = np.isfinite(values[_VOLUME]) & (values[_VOLUME] >= 0)
    if not good.all():
        row = int(np.flatnonzero(~good.all(axis=0))[0])
        column = int(np.flatnonzero(~good[:, row])[0])
        raise InvalidBar(
            f"{BAR_VALUES[column]} of {bars['symbol'][row]} at {bars['ts'][row]} is {values[column, row]}.",
            field=BAR_VALUES[column],
            remedy="Prices and factors are finite and > 0, volume is finite and >= 0; quarantine the bar.",
        )
    ts = bars["ts"].dt.cast_time_unit("us").to_physical().to_numpy()
    return bars["symbol"].to_numpy(), ts, values


def _time(micros: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=micros)
