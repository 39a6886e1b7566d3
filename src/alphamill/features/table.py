"""Feature tables: one function computes them for history, for the newest bar and for the backtest."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FEATURE_KEY
from alphamill.domain.history import BarHistory, BarWindow
from alphamill.errors import AlphamillError, DataUnfit, InvalidFeatures
from alphamill.features.prices import Floats, Prices
from alphamill.features.registry import Feature, resolve


def compute(bars: pl.DataFrame, names: Sequence[str] | None = None) -> pl.DataFrame:
    """Features of every bar.

    Parameters
    ----------
    bars
        Columns of `BAR_SCHEMA`, each symbol's rows in time order.
    names
        Features in the order wanted; all registered ones for None.

    Returns
    -------
    frame
        symbol, ts, then one Float64 column per feature, sorted by (symbol, ts). Null during a
        feature's warm-up; never NaN or infinite.

    Raises
    ------
    InvalidBar
        A bar is not finite, out of range or out of order.
    InvalidFeatures
        A name is unknown.
    DataUnfit
        A feature gives no finite value after its warm-up; names feature, symbol and time.
    """
    features = resolve(names)
    history = BarHistory.from_bars(bars)
    frames = [_empty(features)]
    for symbol in history.symbols:
        window = history.window(symbol)
        frames.append(_frame([symbol] * window.ts.size, window.ts, _columns(symbol, window, features), features))
    return pl.concat(frames)


def newest(
    history: BarHistory, names: Sequence[str] | None = None, symbols: Sequence[str] | None = None
) -> pl.DataFrame:
    """Features of each symbol's newest bar: bit for bit the last row that `compute` gives for it.

    The whole history is computed and the last row taken, because recursive indicators (EMA, RSI,
    ATR) depend on where they started.

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
    ts = np.empty(len(wanted), dtype=np.int64)
    rows = np.empty((len(features), len(wanted)))
    for i, symbol in enumerate(wanted):
        window = history.window(symbol)
        ts[i] = window.ts[-1]
        rows[:, i] = [column[-1] for column in _columns(symbol, window, features)]
    return _frame(wanted, ts, list(rows), features)


def _columns(symbol: str, window: BarWindow, features: Sequence[Feature]) -> list[Floats]:
    """All features of one symbol, NaN during warm-up only: the one place where features are computed."""
    prices = Prices.from_window(window)
    return [_column(symbol, window, prices, feature) for feature in features]


def _column(symbol: str, window: BarWindow, prices: Prices, feature: Feature) -> Floats:
    size = window.ts.size
    out = np.full(size, np.nan)
    if size <= feature.warm_up:
        return out
    try:
        values = np.asarray(feature.compute(prices), dtype=np.float64)
    except AlphamillError:
        raise
    except Exception as error:
        raise DataUnfit(
            f"feature {feature.name} fails on {symbol}: {error!r}.", field=feature.name, remedy="Mend its function."
        ) from error
    if values.shape != (size,):
        raise InvalidFeatures(
            f"feature {feature.name} gave shape {values.shape} for {size} bars of {symbol}.",
            field=feature.name,
            remedy="Return one value per bar, NaN during the warm-up.",
        )
    good = np.isfinite(values[feature.warm_up :])
    if not good.all():
        row = feature.warm_up + int(np.argmin(good))
        when = pl.Series([int(window.ts[row])]).cast(UTC_TS)[0]
        raise DataUnfit(
            f"feature {feature.name} of {symbol} at {when} is {values[row]}.",
            field=feature.name,
            remedy="Look at the bars before it, or at the feature's declared warm-up.",
        )
    out[feature.warm_up :] = values[feature.warm_up :]
    return out


def _frame(
    symbols: Sequence[str], ts: "np.typing.NDArray[np.int64]", columns: Sequence[Floats], features: Sequence[Feature]
) -> pl.DataFrame:
    key = [pl.Series("symbol", list(symbols), dtype=pl.String), pl.Series("ts", ts).cast(UTC_TS)]
    # NaN stands for warm-up only, see `_column`.
    values = [pl.Series(f.name, c).fill_nan(None) for f, c in zip(features, columns, strict=True)]
    return pl.DataFrame([*key, *values])


def _empty(features: Sequence[Feature]) -> pl.DataFrame:
    return pl.DataFrame(schema={**FEATURE_KEY, **{f.name: pl.Float64() for f in features}})
