"""What the market looked like at a close: the only prices a decision may see."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from alphamill.domain.decisions import Refusal
from alphamill.domain.history import BarHistory
from alphamill.domain.orders import Position

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
    """

    ts: dt.datetime
    data_version: str
    bars_seen: int
    prices: dict[str, Decimal]
    volumes: dict[str, Decimal]
    actions: tuple[Action, ...]

    def weights(self, positions: Mapping[str, Position], nav_usd: Decimal) -> dict[str, float]:
        """Value of each position over NAV, as fractions; symbols without a position are absent."""
        return {s: float(p.quantity * self.prices[s] / nav_usd) for s, p in positions.items() if p.quantity}


def market_at(history: BarHistory, symbols: Iterable[str], ts: dt.datetime, data_version: str) -> Market:
    """Read the newest bar of every symbol of the universe that has one."""
    now_us = _microseconds(ts)
    prices, volumes, actions, bars_seen = {}, {}, [], 0
    known = set(history.symbols)
    for symbol in filter(known.__contains__, symbols):
        window = history.window(symbol)
        bars_seen = max(bars_seen, len(window.close))
        prices[symbol] = Decimal(str(window.close[-1]))
        traded_now = int(window.ts[-1]) == now_us
        volumes[symbol] = Decimal(str(window.volume[-1])) if traded_now else Decimal(0)
        if traded_now and window.price_factor[-1] != 1.0 and len(window.close) > 1:
            previous = Decimal(str(window.close[-2]))
            actions.append(Action(symbol, float(window.price_factor[-1]), float(window.split_factor[-1]), previous))
    return Market(ts, data_version, bars_seen, prices, volumes, tuple(actions))


def history_refusals(
    history: BarHistory, symbols: Iterable[str], ts: dt.datetime, needed_bars: int
) -> tuple[Refusal, ...]:
    """Symbols whose history cannot carry a decision at `ts`: no bar now, a hole, or too few bars."""
    known = set(history.symbols)
    problems = {
        symbol: _history_problem(history, symbol, ts, needed_bars)
        if symbol in known
        else ("MISSING_BAR", "no bar was ever received")
        for symbol in symbols
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
