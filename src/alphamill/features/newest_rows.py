"""Features of the newest bar of many symbols at once, equal to those of their whole history."""

from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

import numpy as np
import polars as pl

from alphamill.errors import AlphamillError, DataUnfit, InvalidFeatures
from alphamill.features.history import BarHistory
from alphamill.features.prices import Floats, Prices
from alphamill.features.registry import Feature, resolve
from alphamill.features.table import frame_of, values_of
from alphamill.features.windows import BarWindow

#: Bars that are computed at once: enough to make calls cheap, few enough to stay in the processor's cache.
_BARS_AT_ONCE: Final = 60_000


def newest(
    history: BarHistory, names: Sequence[str] | None = None, symbols: Sequence[str] | None = None
) -> pl.DataFrame:
    """Features of each symbol's newest bar: bit for bit the last row that `compute` gives for it.

    The whole history is computed and the last row taken, because recursive indicators (EMA, RSI,
    ATR) depend on where they started. Features declared `across` are computed for many symbols in one call.

    Parameters
    ----------
    history
        All bars since the same first bar that `compute` saw.
    symbols
        One row for each, in this order; all of the history's for None.

    Raises
    ------
    UnknownSymbol
        A symbol has no bars.
    InvalidFeatures, DataUnfit
        As `compute`: a bad value anywhere in the history refuses the newest row too.
    """
    features = resolve(names)
    wanted = tuple(history.symbols if symbols is None else symbols)
    windows = [history.window(symbol) for symbol in wanted]
    rows = [np.empty((len(features), 0))]
    start = 0
    for part in _parts(windows):
        rows.append(_newest(wanted[start : start + len(part)], part, features))
        start += len(part)
    ts = np.array([window.ts[-1] for window in windows], dtype=np.int64)
    return frame_of(pl.Series("symbol", wanted, dtype=pl.String), ts, np.hstack(rows), features)


def _parts(windows: Sequence[BarWindow]) -> Iterator[Sequence[BarWindow]]:
    """Neighbours with about `_BARS_AT_ONCE` bars together."""
    start = bars = 0
    for end, window in enumerate(windows):
        if bars and bars + window.ts.size > _BARS_AT_ONCE:
            yield windows[start:end]
            start, bars = end, 0
        bars += window.ts.size
    if windows:
        yield windows[start:]


def _newest(symbols: Sequence[str], windows: Sequence[BarWindow], features: Sequence[Feature]) -> Floats:
    """Newest values [features, symbols], NaN during warm-up."""
    out = np.full((len(features), len(symbols)), np.nan)
    prices = Prices.from_windows(windows)
    ends = np.array(prices.ends)
    sizes = np.diff(ends, prepend=0)
    age = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
    for row, feature in zip(out, features, strict=True):
        warm = sizes > feature.warm_up
        if feature.across and warm.any():
            values = _across(feature, prices)
            bad = np.flatnonzero(~np.isfinite(values))
            bad = bad[age[bad] >= feature.warm_up]
            if bad.size:
                first = int(np.searchsorted(ends, bad[0], "right"))
                _refuse(symbols[first], windows[first], feature)
            row[warm] = values[ends[warm] - 1]
    alone = [i for i, feature in enumerate(features) if not feature.across]
    for place, (symbol, window) in enumerate(zip(symbols, windows, strict=True) if alone else ()):
        own = Prices.from_window(window)
        for i in alone:
            if window.ts.size > features[i].warm_up:
                out[i, place] = values_of(symbol, window, own, features[i])[-1]
    return out


def _across(feature: Feature, prices: Prices) -> Floats:
    """One feature of several symbols, one behind the other."""
    try:
        values = np.asarray(feature.compute(prices), dtype=np.float64)
    except AlphamillError:
        raise
    except Exception as error:
        raise DataUnfit(
            f"feature {feature.name} fails on {len(prices.ends)} symbols: {error!r}.",
            field=feature.name,
            remedy="Mend its function, or do not declare it across.",
        ) from error
    if values.shape != prices.close.shape:
        raise InvalidFeatures(
            f"feature {feature.name} gave shape {values.shape} for {prices.close.size} bars.",
            field=feature.name,
            remedy="Return one value per bar, NaN during the warm-up.",
        )
    return values


def _refuse(symbol: str, window: BarWindow, feature: Feature) -> NoReturn:
    """Say what is wrong with a value that is not finite."""
    values_of(symbol, window, Prices.from_window(window), feature)
    raise InvalidFeatures(
        f"feature {feature.name} of {symbol} is finite alone, but not computed with other symbols.",
        field=feature.name,
        remedy="Do not declare it across: it looks back further than its warm-up.",
    )
