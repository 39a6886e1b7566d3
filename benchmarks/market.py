"""Bars made from a seed: random walks with daily ranges, as large as a benchmark wants them."""

import numpy as np
import polars as pl

from alphamill.domain.bars import BAR_SCHEMA


def bars(names: int, sessions: int, seed: int = 0, prefix: str = "N") -> pl.DataFrame:
    """`BAR_SCHEMA` sorted by (symbol, ts): weekdays from 2000-01-03 on, closes at 21:00 UTC, no corporate actions."""
    rng = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(rng.normal(2e-4, 0.015, (names, sessions)), axis=1))
    opened = close * np.exp(rng.normal(0.0, 0.005, close.shape))
    high = np.maximum(opened, close) * (1 + rng.uniform(0.0, 0.01, close.shape))
    low = np.minimum(opened, close) * (1 - rng.uniform(0.0, 0.01, close.shape))
    volume = np.round(np.exp(rng.normal(14.0, 0.5, close.shape)))
    days = np.busday_offset("2000-01-03", np.arange(sessions)).astype("datetime64[us]")
    ones = np.ones(names * sessions)
    columns = {
        "symbol": np.repeat([f"{prefix}{i:04d}" for i in range(names)], sessions),
        "ts": np.tile(days + np.timedelta64(21, "h"), names),
        "session": np.tile(days, names),
        "open": opened.ravel(),
        "high": high.ravel(),
        "low": low.ravel(),
        "close": close.ravel(),
        "volume": volume.ravel(),
        "price_factor": ones,
        "split_factor": ones,
    }
    frame = pl.DataFrame(columns).with_columns(
        pl.col("ts").dt.replace_time_zone("UTC"),
        pl.col("session").cast(pl.Date),
        pl.lit("benchmark").alias("source"),
        pl.col("ts").dt.replace_time_zone("UTC").alias("ingested_at"),
    )
    return frame.select(BAR_SCHEMA.names()).cast(dict(BAR_SCHEMA))
