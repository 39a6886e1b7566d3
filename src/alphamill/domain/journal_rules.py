"""What no bar journal may take in."""

import numpy as np
import polars as pl

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.errors import InvalidBar


def check_bars(bars: pl.DataFrame) -> None:
    """Require the columns of `BAR_SCHEMA`, no null, and finite numbers.

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
