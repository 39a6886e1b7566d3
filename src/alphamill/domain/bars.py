"""Bars as columns: the one schema every stage reads and writes.

Raw prices are never rewritten. What a corporate action does to earlier prices stands beside
them: ``price_factor`` multiplies every earlier price so that it compares with this bar's, and is
known only from this bar on. A 2:1 split has 0.5; a 1 % dividend about 0.99; most bars have 1.
"""

import datetime as dt
from typing import Final

import numpy as np
import polars as pl

from alphamill.errors import DataUnfit, InvalidBar, InvalidInput

#: Which names a symbol may have.
SYMBOL: Final = r"^[A-Z0-9^][A-Z0-9._/=^-]{0,31}$"

UTC_TS: Final = pl.Datetime("us", "UTC")

#: What a `MarketFeed` yields. `adj_close` may be null where a source has none.
RAW_BAR_SCHEMA: Final = pl.Schema(
    {
        "symbol": pl.String(),
        "session": pl.Date(),
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
        "price_factor": pl.Float64(),
    }
)

#: A normalised bar. `ts` is the close of the session in UTC: the moment the bar is known.
BAR_SCHEMA: Final = pl.Schema(
    {
        "symbol": pl.String(),
        "ts": UTC_TS,
        "session": pl.Date(),
        "open": pl.Float64(),
        "high": pl.Float64(),
        "low": pl.Float64(),
        "close": pl.Float64(),
        "volume": pl.Float64(),
        "price_factor": pl.Float64(),
        "split_factor": pl.Float64(),
        "source": pl.String(),
        "ingested_at": UTC_TS,
    }
)

BAR_KEY: Final = ("symbol", "ts")

#: `price_factor` over `split_factor` is what a dividend left. A source that rounds may reach slightly above one.
MAX_DIVIDEND_FACTOR: Final = 1.001

#: Columns that make two bars of one key different; `source` and `ingested_at` do not.
BAR_VALUES: Final = ("open", "high", "low", "close", "volume", "price_factor", "split_factor")


def empty_bars() -> pl.DataFrame:
    """A frame of `BAR_SCHEMA` without rows."""
    return pl.DataFrame(schema=BAR_SCHEMA)


def session_close(bars: pl.DataFrame) -> dt.datetime:
    """The one close time shared by all rows of a one-session frame."""
    closes = bars["ts"]
    if closes.is_empty() or closes.n_unique() != 1:
        raise ValueError(f"expected the bars of one session, got {closes.n_unique()} close times")
    return closes[0]  # type: ignore[no-any-return]


def require_schema(frame: pl.DataFrame, schema: pl.Schema, what: str) -> pl.DataFrame:
    """`frame` with exactly the columns of `schema`, in its order.

    Raises
    ------
    InvalidInput
        Names the first missing column, or the first one of another type.
    """
    found = frame.schema
    if found == schema:
        return frame
    for name, dtype in schema.items():
        if name not in found:
            raise InvalidInput(
                f"{what} lack the column {name!r}.", field=name, remedy=f"Expected: {', '.join(schema)}."
            )
        if found[name] != dtype:
            raise InvalidInput(f"{what}: column {name!r} is {found[name]}, expected {dtype}.", field=name)
    return frame.select(schema.names())


def check_bars(bars: pl.DataFrame) -> None:
    """What no bar journal may take in: require the columns of `BAR_SCHEMA`, no null, and finite numbers.

    Raises
    ------
    InvalidBar
        Names the first column that is missing, has another type, or holds a null, NaN or infinity.
    """
    for name, dtype in BAR_SCHEMA.items():
        if bars.schema.get(name) != dtype:
            raise InvalidBar(
                f"column {name} must be {dtype}, got {bars.schema.get(name)}.",
                field=name,
                remedy="Normalise bars first.",
            )
    for name, dtype in BAR_SCHEMA.items():
        column = bars[name]
        if column.null_count() or (dtype.is_float() and not np.isfinite(column.to_numpy()).all()):
            raise InvalidBar(f"column {name} holds a null or a value that is not finite.", field=name)


def data_version(bars_version: int) -> str:
    """How a version of the bars table is written in cards, decisions and reports."""
    return f"bars@{bars_version}"


def bars_version_of(data_version: str) -> int:
    """The inverse of `data_version`."""
    table, _, number = data_version.partition("@")
    if table != "bars" or not number.isdecimal():
        raise DataUnfit(f"{data_version!r} names no version of the bars table.", field="data_version")
    return int(number)
