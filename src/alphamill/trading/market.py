"""What the market looked like at a close: the only prices a decision may see."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from alphamill.domain.decimal_column import DecimalColumn
from alphamill.domain.decisions import Refusal
from alphamill.domain.orders import Position
from alphamill.features.history import BarHistory

#: A hole this long in a symbol's history makes its features describe another time.
MAX_GAP_DAYS = 10


@dataclass(frozen=True, slots=True)
class Action:
    """A split or dividend that became known with this session's bar."""

    symbol: str
    price_factor: float
    split_factor: float
    previous_close: Decimal


@dataclass(frozen=True, slots=True)
class Market:
    """Raw closes and volumes of a universe as of `ts`; a symbol without a bar keeps its last close.

    `bars_seen` is the length of the longest history: the same number in backtest, replay and after a restart.
    `missing` are the priced symbols without a bar of this session. `missed` are sessions of the calendar between the
    one before and this one of which no bar ever came.
    """

    ts: dt.datetime
    data_version: str
    bars_seen: int
    prices: Mapping[str, Decimal]
    volumes: Mapping[str, Decimal]
    actions: tuple[Action, ...]
    missing: frozenset[str] = frozenset()
    missed: tuple[dt.date, ...] = ()

    @property
    def bars_version(self) -> int:
        """Number of the version of the bars table; -1 where `data_version` names none."""
        number = self.data_version.partition("@")[2]
        return int(number) if number.isdecimal() else -1

    def weights(self, positions: Mapping[str, Position], nav_usd: Decimal) -> dict[str, float]:
        """Value of each position over NAV, as fractions, 0.0 without NAV; symbols without a position are absent."""
        held = {s: p.quantity * self.prices[s] for s, p in positions.items() if p.quantity}
        return {s: float(value / nav_usd) if nav_usd else 0.0 for s, value in held.items()}


def market_at(
    history: BarHistory,
    symbols: Iterable[str],
    ts: dt.datetime,
    data_version: str,
    missed: tuple[dt.date, ...] = (),
) -> Market:
    """Read the newest bar of every symbol of the universe that has one."""
    newest = history.newest(tuple(symbols))
    traded = newest.ts == _microseconds(ts)
    absent = {newest.symbols[i]: Decimal(0) for i in np.flatnonzero(~traded)}
    actions = []
    for i in np.flatnonzero(traded & (newest.price_factor != 1.0) & (newest.sizes > 1)):
        symbol = newest.symbols[i]
        previous = Decimal(str(history.window(symbol).close[-2]))
        actions.append(Action(symbol, float(newest.price_factor[i]), float(newest.split_factor[i]), previous))
    return Market(
        ts=ts,
        data_version=data_version,
        bars_seen=int(newest.sizes.max(initial=0)),
        prices=DecimalColumn(newest.places, newest.close),
        volumes=DecimalColumn(newest.places, newest.volume, absent),
        actions=tuple(actions),
        missing=frozenset(absent),
        missed=missed,
    )


def history_refusals(
    history: BarHistory, symbols: Iterable[str], ts: dt.datetime, needed_bars: int
) -> tuple[Refusal, ...]:
    """Symbols whose history cannot carry a decision at `ts`: no bar now, a hole, or too few bars."""
    symbols = tuple(symbols)
    newest = history.newest(symbols)
    enough = (newest.ts == _microseconds(ts)) & (newest.sizes > needed_bars)
    long = tuple(symbol for symbol, good in zip(newest.symbols, enough.tolist(), strict=True) if good)
    holes = np.diff(history.recent_ts(long, needed_bars + 1)).max(axis=1) > MAX_GAP_DAYS * 86_400e6
    sound = set(long).difference(np.array(long, dtype=object)[holes])
    problems = {
        symbol: _history_problem(history, symbol, ts, needed_bars)
        if symbol in newest.places
        else ("MISSING_BAR", "no bar was ever received")
        for symbol in symbols
        if symbol not in sound
    }
    return tuple(Refusal(symbol, *problem) for symbol, problem in problems.items() if problem)


def _history_problem(history: BarHistory, symbol: str, ts: dt.datetime, needed: int) -> tuple[str, str] | None:
    stamps = history.window(symbol).ts
    if int(stamps[-1]) != _microseconds(ts):
        return "MISSING_BAR", f"no bar for this session; the last one closed {history.last_ts(symbol)}"
    if len(stamps) <= needed:
        return "SHORT_HISTORY", f"{len(stamps)} bars, the covariance needs {needed + 1}"
    gap_days = float((stamps[-needed:] - stamps[-needed - 1 : -1]).max()) / 86_400e6
    if gap_days > MAX_GAP_DAYS:
        return "DATA_GAP", f"a hole of {gap_days:.0f} days within the last {needed} bars"
    return None


def _microseconds(ts: dt.datetime) -> int:
    return int((ts - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))
