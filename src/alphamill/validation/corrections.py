"""Corrections by name: what may be mended without asking anybody, and is counted."""

from typing import Final

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_VALUES
from alphamill.validation.rules import MIN_FACTOR

#: Same key, same values: harmless. Same key, other values: the newer row replaces this one.
REPEATED: Final = "REPEATED_BAR"
SUPERSEDED: Final = "SUPERSEDED_BAR"

KEEP_NEWEST: Final = "keep_newest"
DROP_REPEATED: Final = "drop_repeated"
CARRY_FACTOR: Final = "carry_factor"

#: Products of factors that cancel do so up to rounding of float64.
_CANCELLED: Final = 1e-9


def set_duplicates_apart(good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep the newest row of each key: the latest ``ingested_at``, then the last in the order of the input.

    Parameters
    ----------
    good
        Rows that keep every row rule; columns of `BAR_SCHEMA`, ``_row`` (their order) and ``reason`` (null).

    Returns
    -------
    tuple
        The rows kept, and the others with ``reason`` REPEATED_BAR (equal values) or SUPERSEDED_BAR.
    """
    doubled = pl.struct(BAR_KEY).is_duplicated()
    apart = good.filter(doubled)
    if apart.is_empty():
        return good, apart
    age = ("ingested_at", "_row")
    values = pl.struct(name for name in BAR_VALUES if name != "split_factor")
    judged = apart.with_columns(
        pl.when(pl.struct(age).rank("ordinal", descending=True).over(BAR_KEY) == 1)
        .then(pl.lit(None, dtype=pl.String))
        .when(values == values.sort_by(age).last().over(BAR_KEY))
        .then(pl.lit(REPEATED))
        .otherwise(pl.lit(SUPERSEDED))
        .alias("reason")
    )
    newest = judged.filter(pl.col("reason").is_null())
    return pl.concat([good.filter(~doubled), newest]), judged.filter(pl.col("reason").is_not_null())


def carry_factors(accepted: pl.DataFrame, quarantined: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Move the price factors of quarantined bars to the symbol's next accepted bar.

    A factor says how all earlier prices compare with its bar. When the bar goes, its split or
    dividend must not go with it: the next bar's factor is multiplied by it.

    Parameters
    ----------
    accepted, quarantined
        Rows of `BAR_SCHEMA`; no NaN in `accepted`.

    Returns
    -------
    tuple
        `accepted`, sorted by (symbol, ts), and the number of bars whose factor changed.
    """
    ordered = accepted.sort(BAR_KEY)
    factor = pl.col("price_factor")
    lost = (
        quarantined.filter(
            factor.is_between(MIN_FACTOR, 1 / MIN_FACTOR) & (factor != 1.0) & pl.col("session").is_not_null()
        )
        .unique(["symbol", "session"], keep="last")
        .join(accepted, on=["symbol", "session"], how="anti")
        .select("symbol", "session", pl.col("price_factor").alias("_lost"))
    )
    if lost.is_empty():
        return ordered, 0
    days = ordered.select("symbol", "session", pl.col("session").alias("_next")).sort("session")
    carried = (
        lost.sort("session")
        .join_asof(days, on="session", by="symbol", strategy="forward", check_sortedness=False)
        .filter(pl.col("_next").is_not_null())
        .group_by("symbol", pl.col("_next").alias("session"))
        .agg(pl.col("_lost").product())
    )
    total = pl.col("price_factor") * pl.col("_lost").fill_null(1.0)
    mended = ordered.join(carried, on=["symbol", "session"], how="left", maintain_order="left").with_columns(
        pl.when((total - 1.0).abs() < _CANCELLED).then(1.0).otherwise(total).alias("price_factor")
    )
    return mended.drop("_lost"), carried.height
