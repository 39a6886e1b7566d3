"""From adjusted closes to `price_factor`, without mistaking rounding for a dividend."""

from typing import Final

import numpy as np
import polars as pl

#: Prices are printed with at least cents; a short file of round prices must not look coarser.
_MIN_DECIMALS: Final = 2
_MAX_DECIMALS: Final = 9
#: A price that passed through float32 is off by up to half an ulp (2**-24, relative); a factor holds four of them.
_FLOAT32_NOISE: Final = 4 * 2.0**-24


def with_price_factor(bars: pl.DataFrame) -> pl.DataFrame:
    """Replace ``adj_close`` by ``price_factor``.

    With f = adj_close / close, the factor of a session is f(previous session) / f(this session),
    1.0 for a symbol's first. Needs the symbol's whole history: call it before any cut by date.

    A factor within rounding of 1 becomes exactly 1.0. The bound is derived, not tuned: an adjusted
    close printed with d decimals is off by up to 10**-d / 2, so a ratio of two is off by
    10**-d / 2 * (1/a(t-1) + 1/a(t)); on top comes float32 noise (2.4e-7), the largest that common
    sources carry. The smallest true dividend is far above it (0.01 on 1,000 is 1e-5).

    Parameters
    ----------
    bars
        ``symbol``, ``session``, ``close``, ``adj_close``, in the order of the source. Several rows
        of one session all compare with the session before; the last one is carried on.

    Returns
    -------
    pl.DataFrame
        The rows in the same order. Where ``adj_close`` or ``close`` is no positive number the factor
        is null: validation says so. The next bar then compares with the last known f, so no action is lost.
    """
    unit = _half_unit(bars["adj_close"])
    f = pl.col("adj_close") / pl.col("close")
    usable = (pl.col("adj_close") > 0) & (pl.col("close") > 0) & f.is_finite()
    rows = bars.with_row_index("_row").with_columns(pl.when(usable).then(f).alias("_f"))
    known = rows.filter(pl.col("_f").is_not_null()).unique(["symbol", "session"], keep="last", maintain_order=True)
    before = (
        known.sort("symbol", "session")
        .select("symbol", "session", pl.col("_f", "adj_close").shift(1).over("symbol").name.prefix("_before"))
        .rename({"_before_f": "_f_before", "_beforeadj_close": "_adj_before"})
    )
    factor = pl.col("_f_before") / pl.col("_f")
    noise = unit * (1 / pl.col("_adj_before") + 1 / pl.col("adj_close")) + _FLOAT32_NOISE
    return (
        rows.join(before, on=["symbol", "session"], how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("_f").is_null())
            .then(None)
            .when(pl.col("_f_before").is_null() | ((factor - 1).abs() <= noise))
            .then(1.0)
            .otherwise(factor)
            .alias("price_factor")
        )
        .drop("_row", "_f", "_f_before", "_adj_before", "adj_close")
    )


def _half_unit(printed: pl.Series) -> float:
    """Half a unit in the last decimal that the column uses; 0 when it uses more than nine."""
    values = printed.drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    for decimals in range(_MIN_DECIMALS, _MAX_DECIMALS + 1):
        scaled = values * 10.0**decimals
        if np.all(np.abs(scaled - np.round(scaled)) < 1e-6 * np.maximum(1.0, np.abs(values))):
            return float(0.5 * 10.0**-decimals)
    return 0.0
