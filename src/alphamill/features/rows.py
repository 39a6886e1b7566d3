"""What every feature store does with rows: check them, and join them as of a time."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import polars as pl

from alphamill.domain.bars import require_schema
from alphamill.domain.features import FEATURE_KEY
from alphamill.errors import InvalidFeatures, InvalidInput


def check_rows(rows: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """symbol, ts and `features` of `rows`.

    Raises
    ------
    InvalidFeatures
        A column is missing or of another type, a key is null or comes twice, or a value is NaN or
        infinite (null says that a feature has no value yet).
    """
    try:
        rows = require_schema(rows, _schema(tuple(features)), "feature rows")
    except InvalidInput as error:
        raise InvalidFeatures(error.message, field=error.field, remedy=error.remedy) from error
    if rows["symbol"].null_count() or rows["ts"].null_count():
        raise InvalidFeatures("a feature row has no symbol or no ts.", field="ts", remedy="Drop the row.")
    if rows["symbol"].n_unique() < rows.height and (twice := rows.select(*FEATURE_KEY).is_duplicated()).any():
        symbol, ts = rows.filter(twice).select(*FEATURE_KEY).row(0)
        raise InvalidFeatures(f"{symbol} has two feature rows at {ts}.", field="ts", remedy="Keep one of them.")
    for name in features:
        column = rows.get_column(name)
        # numpy, not an expression: rows of one bar are few, and an expression has its price.
        if np.isfinite(column.to_numpy()).sum() + column.null_count() != rows.height:
            bad = rows.filter(~pl.col(name).is_finite())
            raise InvalidFeatures(
                f"{name} of {bad['symbol'][0]} at {bad['ts'][0]} is {bad[name][0]}.",
                field=name,
                remedy="Give a finite value, or null where there is none.",
            )
    return rows


@cache
def _schema(features: tuple[str, ...]) -> pl.Schema:
    return pl.Schema({**FEATURE_KEY, **dict.fromkeys(features, pl.Float64())})


def join_as_of(entities: pl.DataFrame, rows: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """`entities` in their order, with `features` of the newest row of the symbol not after their ts."""
    right = rows.select(*FEATURE_KEY, *features).sort("ts")
    left = entities.with_row_index("_row").sort("ts")
    # polars cannot check sortedness within groups, hence by hand above.
    joined = left.join_asof(right, on="ts", by="symbol", strategy="backward", check_sortedness=False)
    return joined.sort("_row").drop("_row")


def require_declared(features: Sequence[str], declared: Sequence[str]) -> None:
    """`InvalidFeatures` if none is asked for, or one that the store does not have."""
    unknown = [name for name in features if name not in declared]
    if unknown or not features:
        raise InvalidFeatures(
            f"features {unknown} are not declared in the feature store." if unknown else "no features asked for.",
            field="features",
            remedy="Register them and run apply.",
        )
