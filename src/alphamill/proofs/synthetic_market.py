"""A synthetic market whose truth is known: bars like real ones, and a signal of exact strength.

What a model can make of that signal follows in closed form: see `alphamill.proofs.known_ic`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bars import BAR_SCHEMA, UTC_TS
from alphamill.domain.calendars import sessions
from alphamill.errors import InvalidInput

FIRST_SESSION: Final = dt.date(2005, 1, 3)
#: Daily volatility of log returns, and how much of their variance falls between open and close.
_DAILY_VOL: Final = 0.015
_INTRADAY: Final = 0.7
#: One standard deviation of the signal moves the volume by so much of its mean.
_VOLUME_PER_SIGNAL: Final = 0.1

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SyntheticMarket:
    """Bars of `BAR_SCHEMA`, the signal behind them (symbol, ts, signal) and its true IC."""

    bars: pl.DataFrame
    signal: pl.DataFrame
    ic: float
    horizon_bars: int


def synthetic_market(
    n_symbols: int, n_sessions: int, *, seed: int, signal_ic: float = 0.0, horizon_bars: int = 5
) -> pl.DataFrame:
    """The bars of `market_with_signal`: `BAR_SCHEMA`, XNYS sessions from 2005, no NaN, no splits."""
    return market_with_signal(n_symbols, n_sessions, seed=seed, signal_ic=signal_ic, horizon_bars=horizon_bars).bars


def market_with_signal(
    n_symbols: int, n_sessions: int, *, seed: int, signal_ic: float = 0.0, horizon_bars: int = 5
) -> SyntheticMarket:
    """A geometric walk per symbol, moved by a signal that anyone can see in the volume.

    The signal s(t) is standard normal, independent over time and symbols, and known at the close of
    t: volume is 2 million times 1 + 0.1 s(t). The log return from open t+1 to open t+2 is
    vol * (b s(t) + sqrt(1 - b^2) e). A forward return over h bars sums h of them, of which one holds
    s(t); so the correlation of s(t) with it is b / sqrt(h), and b = signal_ic * sqrt(h) gives the
    wanted IC. Derived for log returns; for simple ones it differs by less than 1 % of itself.
    Names do not move together, and nothing but the volume says anything about later returns.

    Parameters
    ----------
    n_symbols, n_sessions
        Size; symbols are SYN000, SYN001 ...
    seed
        The same seed gives the same market.
    signal_ic
        Correlation of the signal with the return from open t+1 to open t+1+h; at most 1/sqrt(h).
    horizon_bars
        h.

    Raises
    ------
    InvalidInput
        A size below 1, an IC that the horizon does not allow, or more sessions than the calendar has.
    """
    strength = signal_ic * np.sqrt(horizon_bars)
    if n_symbols < 1 or n_sessions < 1 or horizon_bars < 1:
        raise InvalidInput("n_symbols, n_sessions and horizon_bars must be at least 1.", field="n_symbols")
    if abs(strength) > 1.0:
        raise InvalidInput(
            f"signal_ic {signal_ic} is impossible over {horizon_bars} bars.",
            field="signal_ic",
            remedy=f"It is at most {1 / np.sqrt(horizon_bars):.3f}.",
        )
    days = sessions("XNYS").filter(pl.col("session") >= FIRST_SESSION).head(n_sessions)
    if days.height < n_sessions:
        raise InvalidInput(f"the calendar has only {days.height} sessions.", field="n_sessions")
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n_sessions, n_symbols))
    columns = _prices(rng, signal, strength)
    keys = _keys(n_symbols, days)
    bars = keys.with_columns(pl.Series(name, values.T.ravel()) for name, values in columns.items()).with_columns(
        pl.lit(1.0).alias("price_factor"),
        pl.lit(1.0).alias("split_factor"),
        pl.lit("synthetic").alias("source"),
        pl.col("ts").alias("ingested_at"),
    )
    seen = keys.select("symbol", "ts", pl.Series("signal", signal.T.ravel()))
    return SyntheticMarket(bars.select(BAR_SCHEMA.names()), seen, signal_ic, horizon_bars)


def _prices(rng: np.random.Generator, signal: _Array, strength: float) -> dict[str, _Array]:
    """Columns [session, symbol]. The part of a return that the signal drives happens after it is seen."""
    known = np.vstack([np.zeros((1, signal.shape[1])), signal[:-1]])
    rest = np.sqrt(1.0 - strength**2)
    intraday = _DAILY_VOL * (strength * known + rest * np.sqrt(_INTRADAY) * rng.standard_normal(signal.shape))
    overnight = _DAILY_VOL * rest * np.sqrt(1.0 - _INTRADAY) * rng.standard_normal(signal.shape)
    log_open = np.log(rng.uniform(20.0, 200.0, signal.shape[1])) + np.cumsum(
        np.vstack([overnight[:1] * 0.0, (intraday + overnight)[:-1]]), axis=0
    )
    opens, closes = np.exp(log_open), np.exp(log_open + intraday)
    reach = np.abs(rng.standard_normal((2, *signal.shape))) * 0.3 * _DAILY_VOL
    return {
        "open": opens,
        "high": np.maximum(opens, closes) * np.exp(reach[0]),
        "low": np.minimum(opens, closes) * np.exp(-reach[1]),
        "close": closes,
        "volume": np.round(2e6 * (1.0 + _VOLUME_PER_SIGNAL * signal)),
    }


def _keys(n_symbols: int, days: pl.DataFrame) -> pl.DataFrame:
    symbols = pl.DataFrame({"symbol": [f"SYN{number:03d}" for number in range(n_symbols)]})
    return symbols.join(days.select(pl.col("close_ts").cast(UTC_TS).alias("ts"), "session"), how="cross")
