"""Bars as numpy columns, checked once: what may enter a history."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bars import BAR_VALUES, UTC_TS
from alphamill.errors import InvalidBar

Floats = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]

_VOLUME: Final = BAR_VALUES.index("volume")
_FLOAT: Final = pl.Float64()
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars in the order given: runs of one symbol each, and their numbers.

    `names` and `lengths` are the runs. `ts` [n] is microseconds since the epoch (UTC), `values` [7, n] as
    `BAR_VALUES`, all finite.
    """

    names: Sequence[str]
    lengths: Micros
    ts: Micros
    values: Floats


def checked_columns(bars: pl.DataFrame) -> BarColumns:
    """The columns of `BAR_SCHEMA` that history keeps.

    Raises
    ------
    InvalidBar
        A column is missing, a key is null, or a value is null, NaN, infinite or out of range.
    """
    values = numbers_of(bars)
    symbols, stamps = bars["symbol"], bars["ts"]
    require_good(values, lambda row: f"{symbols[row]} at {stamps[row]}")
    ts = (stamps if stamps.dtype == UTC_TS else stamps.dt.cast_time_unit("us")).cast(pl.Int64).to_numpy()
    runs = symbols.rle().struct
    return BarColumns(runs.field("value").to_list(), runs.field("len").to_numpy(), ts, values)


def numbers_of(bars: pl.DataFrame) -> Floats:
    """Values [7, n] as `BAR_VALUES`, in the order of the frame; a null becomes NaN.

    Raises
    ------
    InvalidBar
        A column is missing, also one of the key, or a bar has no symbol or no ts.
    """
    columns = {column.name: column for column in bars.get_columns()}
    missing = [name for name in ("symbol", "ts", *BAR_VALUES) if name not in columns]
    if missing:
        raise InvalidBar(f"bars lack the columns {missing}.", field=missing[0], remedy="Give all of BAR_SCHEMA.")
    if columns["symbol"].null_count() or columns["ts"].null_count():
        raise InvalidBar("a bar has no symbol or no ts.", field="ts", remedy="Quarantine it in validation.")
    values = np.empty((len(BAR_VALUES), bars.height))
    for out, name in zip(values, BAR_VALUES, strict=True):
        column = columns[name]
        out[:] = (column if column.dtype == _FLOAT else column.cast(_FLOAT)).to_numpy()
    return values


def require_good(values: Floats, name_of: Callable[[int], str]) -> None:
    """Refuse values [7, n] of which one is NaN, infinite or out of range (`InvalidBar`); `name_of` names a column."""
    good = (values > 0) & (values < np.inf)
    good[_VOLUME] |= values[_VOLUME] == 0
    if good.all():
        return
    row = int(np.flatnonzero(~good.all(axis=0))[0])
    bad = int(np.flatnonzero(~good[:, row])[0])
    raise InvalidBar(
        f"{BAR_VALUES[bad]} of {name_of(row)} is {values[bad, row]}.",
        field=BAR_VALUES[bad],
        remedy="Prices and factors are finite and > 0, volume is finite and >= 0; quarantine the bar.",
    )
