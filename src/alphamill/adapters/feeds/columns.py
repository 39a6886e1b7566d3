"""One reading of a bar file's columns, whatever their case, order or types."""

from typing import Final

import polars as pl

from alphamill.adapters.feeds.factors import with_price_factor
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.errors import InvalidConfig

_SYNONYMS: Final = {"ticker": "symbol", "session": "date", "adjclose": "adj_close"}
_NUMBERS: Final = ("open", "high", "low", "close", "volume")
_REQUIRED: Final = ("symbol", "date", *_NUMBERS)


def read_columns(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Rows as symbol, session, five numbers, and adj_close or price_factor where the file has one.

    A cell that cannot be read becomes null, for validation to quarantine with its row; a column in
    which no cell can be read is a mistake of the file.

    Parameters
    ----------
    frame
        The file as read; columns in any case and order, others are ignored.
    where
        Name of the file, for messages.

    Raises
    ------
    InvalidConfig
        Names the file and the missing, doubled, ambiguous or unreadable columns.
    """
    named = _named(frame, where)
    factors = [name for name in ("adj_close", "price_factor") if name in named.columns]
    if len(factors) > 1:
        raise InvalidConfig(
            f"{where} has both adj_close and price_factor.", field="price_factor", remedy="Keep one of them."
        )
    parsed = named.select(
        # Upper case here already: factors compare the rows of one symbol, however the file spells it.
        pl.col("symbol").cast(pl.String).str.strip_chars().str.to_uppercase(),
        _date(named.schema["date"]).alias("session"),
        *(_number(name, named.schema[name]) for name in (*_NUMBERS, *factors)),
    )
    for before, after in zip(("date", *_NUMBERS, *factors), parsed.columns[1:], strict=True):
        if parsed[after].null_count() == parsed.height > named[before].null_count():
            example = named[before].drop_nulls()[0]
            raise InvalidConfig(
                f"{where}: no value of column {before!r} can be read (the first is {example!r}).",
                field=before,
                remedy="Dates are YYYY-MM-DD, numbers plain decimals.",
            )
    return parsed


def to_raw_bars(parsed: pl.DataFrame) -> pl.DataFrame:
    """`RAW_BAR_SCHEMA` from `read_columns`' rows of whole histories, in their order."""
    if "price_factor" in parsed.columns:
        return parsed.select(RAW_BAR_SCHEMA.names())
    if "adj_close" in parsed.columns:
        return with_price_factor(parsed).select(RAW_BAR_SCHEMA.names())
    return parsed.with_columns(pl.lit(1.0).alias("price_factor")).select(RAW_BAR_SCHEMA.names())


def _named(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    names = [name.strip().lower().replace(" ", "_") for name in frame.columns]
    names = [_SYNONYMS.get(name, name) for name in names]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InvalidConfig(f"{where} has the column {doubled[0]!r} twice.", field=doubled[0])
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise InvalidConfig(
            f"{where} lacks the columns {', '.join(missing)}.",
            field=missing[0],
            remedy=f"Every bar file has {', '.join(_REQUIRED)} and may have adj_close or price_factor.",
        )
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _date(dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.String:
        return pl.col("date").str.strip_chars().str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return pl.col("date").cast(pl.Date, strict=False)


def _number(name: str, dtype: pl.DataType) -> pl.Expr:
    text = pl.col(name).str.strip_chars() if dtype == pl.String else pl.col(name)
    return text.cast(pl.Float64, strict=False)
