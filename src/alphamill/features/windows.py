"""Views on bars: one symbol's whole history, the newest bars of many, and the sessions that several share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alphamill.domain.bar_columns import Floats, Micros
from alphamill.errors import MissingFeatures


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


@dataclass(frozen=True, slots=True)
class NewestBars:
    """The newest bar of each of `symbols`, in that order; every array is a copy of shape [k].

    `places` says where each symbol stands: shared, do not change it. `sizes` counts the bars a symbol has. `ts` is
    microseconds since the epoch (UTC).
    """

    symbols: tuple[str, ...]
    places: Mapping[str, int]
    sizes: Micros
    ts: Micros
    close: Floats
    volume: Floats
    price_factor: Floats
    split_factor: Floats


def shared_sessions(symbols: Sequence[str], windows: Sequence[BarWindow], count: int) -> Micros:
    """The newest `count` sessions that every window has."""
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


def adjusted_returns(window: BarWindow, at: npt.NDArray[np.int64]) -> Floats:
    """Adjusted returns between the bars number `at`, ascending."""
    factors = np.multiply.reduceat(window.price_factor[: at[-1] + 1], at[:-1] + 1)
    close = window.close[at]
    returns: Floats = close[1:] / (close[:-1] * factors) - 1.0
    return returns
