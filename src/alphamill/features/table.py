"""Feature tables: one function computes them for history, for the newest bar and for the backtest."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl

from alphamill.domain.bar_columns import checked_columns
from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FEATURE_KEY
from alphamill.errors import AlphamillError, DataUnfit, InvalidFeatures
from alphamill.features.history import BarHistory
from alphamill.features.prices import Floats, Prices
from alphamill.features.registry import Feature, resolve
from alphamill.features.windows import BarWindow

#: Bars of a part: large enough for full Parquet pages, small enough to stay in the processor's cache and in memory.
_PART_BARS: Final = 160_000


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
    return pl.concat([schema(names).to_frame(), *compute_in_parts(bars, names)])


def compute_in_parts(bars: pl.DataFrame, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """What `compute` gives, a few symbols at a time: one part can be written while the next is computed.

    A symbol is never divided. Raises as `compute`, when the part with the error is due.
    """
    features = resolve(names)
    if "symbol" in bars.columns and not bars["symbol"].is_sorted():
        bars = bars.sort("symbol", maintain_order=True)
    for part in _parts(bars):
        yield _part_frame(part, features)


def schema(names: Sequence[str] | None = None) -> pl.Schema:
    """Columns of the frame that `compute` gives."""
    return pl.Schema({**FEATURE_KEY, **{feature.name: pl.Float64() for feature in resolve(names)}})


def _parts(bars: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Slices of a frame sorted by symbol, of about `_PART_BARS` rows and whole symbols; the frame itself if small."""
    if bars.height <= _PART_BARS:
        yield bars
        return
    ends = np.cumsum(bars["symbol"].rle().struct.field("len").to_numpy())
    start = 0
    while start < bars.height:
        # The last symbol that ends within the part, or the one that is larger than a part.
        end = int(
            ends[max(np.searchsorted(ends, start + _PART_BARS, "right") - 1, np.searchsorted(ends, start, "right"))]
        )
        yield bars[start:end]
        start = end


def _part_frame(bars: pl.DataFrame, features: Sequence[Feature]) -> pl.DataFrame:
    """All rows of a frame sorted by symbol."""
    columns = checked_columns(bars)
    ends = np.cumsum([0, *columns.lengths])
    # Not the first of a symbol, and not newer than the bar before it: the history says which it is.
    late = np.diff(columns.ts, prepend=columns.ts[:1]) <= 0
    late[ends[:-1]] = False
    if late.any():
        BarHistory.from_bars(bars)
    values = np.full((len(features), ends[-1]), np.nan)
    for symbol, start, end in zip(columns.names, ends, ends[1:], strict=False):
        window = BarWindow(columns.ts[start:end], *columns.values[:, start:end])
        fill(values[:, start:end], symbol, window, features)
    return frame_of(bars["symbol"], columns.ts, values, features)


def fill(out: Floats, symbol: str, window: BarWindow, features: Sequence[Feature]) -> None:
    """All features of one symbol into `out` [features, bars], which holds NaN: the one place that computes them."""
    prices = Prices.from_window(window)
    for row, feature in zip(out, features, strict=True):
        if window.ts.size > feature.warm_up:
            row[feature.warm_up :] = values_of(symbol, window, prices, feature)[feature.warm_up :]


def values_of(symbol: str, window: BarWindow, prices: Prices, feature: Feature) -> Floats:
    """One feature of one symbol [bars], finite after its warm-up."""
    size = window.ts.size
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
    return values


def frame_of(
    symbols: pl.Series, ts: "np.typing.NDArray[np.int64]", values: Floats, features: Sequence[Feature]
) -> pl.DataFrame:
    """Symbols [rows], times in microseconds [rows] and values [features, rows] as a feature table."""
    # NaN stands for warm-up only, see `values_of`.
    columns = [pl.Series(feature.name, row, nan_to_null=True) for feature, row in zip(features, values, strict=True)]
    return pl.DataFrame([symbols, pl.Series("ts", ts).cast(UTC_TS), *columns])
