"""What a model learns to forecast."""

import numpy as np
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FEATURE_KEY
from alphamill.errors import InvalidConfig
from alphamill.features.history import BarHistory


def forward_return(bars: pl.DataFrame, horizon_bars: int) -> pl.DataFrame:
    """Return from the open of bar t+1 to the open of bar t+1+h, corporate actions taken out.

    A decision at the close of t trades at the open of t+1 at the earliest, so a forecast of this
    label can be traded as it was trained.

    Returns
    -------
    frame
        symbol, ts, label (fraction), label_end_ts (close time of the bar on whose open the label
        ends: purge training rows by it), sorted by (symbol, ts). Label and end are null for the
        last ``h + 1`` bars of a symbol, where the label is not known yet.

    Raises
    ------
    InvalidBar
        A bar is not finite, out of range or out of order.
    InvalidConfig
        The horizon is under one bar.
    """
    if horizon_bars < 1:
        raise InvalidConfig(f"horizon_bars is {horizon_bars}.", field="horizon_bars", remedy="Use 1 or more.")
    history = BarHistory.from_bars(bars)
    frames = [pl.DataFrame(schema={**FEATURE_KEY, "label": pl.Float64(), "label_end_ts": UTC_TS})]
    for symbol in history.symbols:
        window = history.window(symbol)
        known = max(0, window.ts.size - horizon_bars - 1)
        adjusted = window.open * np.cumprod(1.0 / window.price_factor)
        label = pl.Series("label", adjusted[1 + horizon_bars :] / adjusted[1 : known + 1] - 1.0, dtype=pl.Float64)
        end = pl.Series("label_end_ts", window.ts[1 + horizon_bars :], dtype=pl.Int64).cast(UTC_TS)
        unknown = pl.Series([None] * (window.ts.size - known))
        frames.append(
            pl.DataFrame(
                {
                    "symbol": pl.Series([symbol] * window.ts.size, dtype=pl.String),
                    "ts": pl.Series(window.ts).cast(UTC_TS),
                    "label": label.append(unknown.cast(pl.Float64)),
                    "label_end_ts": end.append(unknown.cast(UTC_TS)),
                }
            )
        )
    return pl.concat(frames)
