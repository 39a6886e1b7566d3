"""What no bar journal may take in."""

import polars as pl
import polars.selectors as cs

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
    bad = bars.select(pl.all().null_count() > 0)
    unfit = bars.select(cs.float().is_finite().not_().any())
    for flags in (bad, unfit):
        for name, flagged in flags.row(0, named=True).items() if flags.height else ():
            if flagged and name in BAR_SCHEMA:
                raise InvalidBar(f"column {name} holds a null or a value that is not finite.", field=name)
