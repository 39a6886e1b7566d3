"""From `RAW_BAR_SCHEMA` to `BAR_SCHEMA`: symbol, UTC close, source, time of ingestion."""

import datetime as dt

import polars as pl

from alphamill.domain.bars import BAR_SCHEMA, RAW_BAR_SCHEMA, UTC_TS, require_schema
from alphamill.domain.calendars import sessions_around


def normalise(raw: pl.DataFrame, *, source: str, calendar: str, ingested_at: dt.datetime) -> pl.DataFrame:
    """Give every raw bar its place in the one schema, in the order of the input and with all its rows.

    Parameters
    ----------
    raw
        Rows of `RAW_BAR_SCHEMA`, unchecked: values may be null, NaN or wrong.
    source
        Name of the feed.
    calendar
        An exchange_calendars code. ``ts`` becomes the session's close, early closes included. A day
        without a session keeps its row with ``ts`` = the end of that day in UTC, so that validation
        can quarantine it by name. A null session gives a null ``ts``.
    ingested_at
        UTC-aware time of this ingestion.

    Returns
    -------
    pl.DataFrame
        Rows of `BAR_SCHEMA`; ``split_factor`` is 1.0 until validation classifies ``price_factor``.

    Raises
    ------
    InvalidInput
        A column is missing or has another type.
    InvalidConfig
        The calendar is unknown.
    """
    last = dt.date.max - dt.timedelta(days=1)  # the day after must be one that Python can name
    day = pl.when(pl.col("session") > last).then(pl.lit(last)).otherwise("session")
    end_of_day = day.cast(pl.Datetime("us")).dt.offset_by("1d").dt.replace_time_zone("UTC")
    bars = require_schema(raw, RAW_BAR_SCHEMA, "raw bars")
    closes = sessions_around(calendar, bars["session"]).lazy().select("session", "close_ts")
    return (
        bars.lazy()
        .join(closes, on="session", how="left", maintain_order="left")
        .with_columns(
            pl.col("symbol").str.strip_chars().str.to_uppercase(),
            pl.coalesce("close_ts", end_of_day).cast(UTC_TS).alias("ts"),
            pl.lit(1.0).alias("split_factor"),
            pl.lit(source).alias("source"),
            pl.lit(ingested_at).cast(UTC_TS).alias("ingested_at"),
        )
        .select(BAR_SCHEMA.names())
        .collect()
    )
