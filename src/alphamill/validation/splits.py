"""Splits among the price factors. A dividend is never one, and neither is a crash."""

from typing import Final

import numpy as np
import polars as pl

#: New shares for old ones. Simple ratios that exchanges see; each may also run in reverse.
_FORWARD: Final = (
    *((n, 1) for n in range(2, 21)),
    *((n, 1) for n in (25, 30, 40, 50, 100)),
    *((3, 2), (4, 3), (5, 2), (5, 3), (5, 4), (6, 5), (7, 2)),
)
_RATIOS: Final = np.array(sorted({n / m for n, m in _FORWARD} | {m / n for n, m in _FORWARD}))
#: Relative. Far above the noise of a factor (1e-6), far below what a dividend hits by chance.
_TOLERANCE: Final = 1e-4


def with_split_factor(bars: pl.DataFrame) -> pl.DataFrame:
    """Set ``split_factor`` from ``price_factor``: 1/ratio where 1/factor is a simple ratio, else 1.0.

    Only the factor decides: a price that halves without one is a crash and stays as it is. A split
    and a dividend on one day make no simple ratio; `warnings` shows them as unexplained.
    """
    factors = bars["price_factor"].to_numpy()
    splits = np.ones(len(factors))
    (acting,) = np.nonzero(factors != 1.0)
    ratio = 1.0 / factors[acting]
    nearest = _RATIOS[np.abs(np.log(_RATIOS)[None, :] - np.log(ratio)[:, None]).argmin(axis=1)]
    splits[acting] = np.where(np.abs(ratio / nearest - 1.0) <= _TOLERANCE, 1.0 / nearest, 1.0)
    return bars.with_columns(pl.Series("split_factor", splits, dtype=pl.Float64))


def splits_of(bars: pl.DataFrame) -> pl.DataFrame:
    """Columns symbol, session, ratio (2.0 for 2:1, 0.1 for a reverse 1:10), one row per split."""
    return bars.filter(pl.col("split_factor") != 1.0).select(
        "symbol", "session", (1.0 / pl.col("split_factor")).alias("ratio")
    )
