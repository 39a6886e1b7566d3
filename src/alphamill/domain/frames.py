"""Frames that cross a door are checked against their declared schema once, there."""

import polars as pl

from alphamill.errors import InvalidInput


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
