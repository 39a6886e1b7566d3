"""What is worth a look but rejects no bar: gaps and warnings."""

from typing import Final

import polars as pl

from alphamill.domain.calendars import sessions

#: A close that moves more than this, adjusted, is shown to a person.
_JUMP: Final = 0.4
#: A factor below this that is no split would be a dividend of 20 %; above 1 there is no dividend at all.
_LARGEST_DIVIDEND: Final = 0.2

WARNING_SCHEMA: Final = pl.Schema(
    {"symbol": pl.String(), "session": pl.Date(), "code": pl.String(), "detail": pl.String()}
)


def gaps_of(bars: pl.DataFrame, calendar: str) -> pl.DataFrame:
    """Runs of sessions that a symbol lacks between its own first and last bar.

    Parameters
    ----------
    bars
        Accepted bars, sorted by (symbol, ts).
    calendar
        A closure of the exchange is no session, hence no gap.

    Returns
    -------
    pl.DataFrame
        Columns symbol, first, last (missing sessions, inclusive) and count.
    """
    days = sessions(calendar).select("session", "number")
    found = (
        bars.select("symbol", "session")
        .join(days, on="session", how="left", maintain_order="left")
        .with_columns(pl.col("number").shift(1).over("symbol").alias("before"))
        .filter(pl.col("number") - pl.col("before") > 1)
        .select(
            "symbol",
            (pl.col("before") + 1).alias("from"),
            (pl.col("number") - 1).alias("to"),
            (pl.col("number") - pl.col("before") - 1).alias("count"),
        )
    )
    first = days.rename({"session": "first", "number": "from"})
    last = days.rename({"session": "last", "number": "to"})
    return (
        found.join(first, on="from", maintain_order="left")
        .join(last, on="to", maintain_order="left")
        .select("symbol", "first", "last", "count")
    )


def warnings_of(bars: pl.DataFrame) -> pl.DataFrame:
    """PRICE_JUMP and FACTOR_UNEXPLAINED, one row each; `bars` accepted and sorted by (symbol, ts)."""
    before = pl.col("close").shift(1).over("symbol")
    moves = bars.with_columns((pl.col("close") / (before * pl.col("price_factor")) - 1.0).alias("move"))
    jumps = moves.filter(pl.col("move").abs() > _JUMP).select(
        "symbol",
        "session",
        pl.lit("PRICE_JUMP").alias("code"),
        pl.format("close moved {} % after adjustment; no split explains it", (pl.col("move") * 100).round(1)).alias(
            "detail"
        ),
    )
    factor = pl.col("price_factor")
    odd = bars.filter((pl.col("split_factor") == 1.0) & ~factor.is_between(1.0 - _LARGEST_DIVIDEND, 1.0)).select(
        "symbol",
        "session",
        pl.lit("FACTOR_UNEXPLAINED").alias("code"),
        pl.format("price factor {} is neither a simple split nor a usual dividend", factor.round(6)).alias("detail"),
    )
    return pl.concat([jumps, odd]).sort("symbol", "session", "code").cast(WARNING_SCHEMA)
