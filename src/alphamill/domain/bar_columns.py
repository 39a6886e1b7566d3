"""Bars as numpy columns, checked once: what may enter a history."""

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


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars in the order given: runs of one symbol each, and their numbers.

    `names` and `lengths` are the runs; `lengths` is None when each has one bar. `ts` [n] is microseconds since the
    epoch (UTC), `values` [7, n] as `BAR_VALUES`, all finite.
    """

    names: list[str]
    lengths: Micros | None
    ts: Micros
    values: Floats


def checked_columns(bars: pl.DataFrame) -> BarColumns:
    """The columns of `BAR_SCHEMA` that history keeps.

    Raises
    ------
    InvalidBar
        A column is missing, a key is null, or a value is null, NaN, infinite or out of range.
    """
    columns = {column.name: column for column in bars.get_columns()}
    missing = [name for name in ("symbol", "ts", *BAR_VALUES) if name not in columns]
    if missing:
        raise InvalidBar(f"bars lack the columns {missing}.", field=missing[0], remedy="Give all of BAR_SCHEMA.")
    symbols, stamps = columns["symbol"], columns["ts"]
    if symbols.null_count() or stamps.null_count():
        raise InvalidBar("a bar has no symbol or no ts.", field="ts", remedy="Quarantine it in validation.")
    # A null becomes NaN, which is refused below.
    values = np.empty((len(BAR_VALUES), bars.height))
    for out, name in zip(values, BAR_VALUES, strict=True):
        column = columns[name]
        out[:] = (column if column.dtype == _FLOAT else column.cast(_FLOAT)).to_numpy()
    good = (values > 0) & (values < np.inf)
    good[_VOLUME] |= values[_VOLUME] == 0
    if not good.all():
        row = int(np.flatnonzero(~good.all(axis=0))[0])
        bad = int(np.flatnonzero(~good[:, row])[0])
        raise InvalidBar(
            f"{BAR_VALUES[bad]} of {symbols[row]} at {stamps[row]} is {values[bad, row]}.",
            field=BAR_VALUES[bad],
            remedy="Prices and factors are finite and > 0, volume is finite and >= 0; quarantine the bar.",
        )
    ts = (stamps if stamps.dtype == UTC_TS else stamps.dt.cast_time_unit("us")).cast(pl.Int64).to_numpy()
    if stamps.n_unique() == 1:  # one session: a run each
        return BarColumns(symbols.to_list(), None, ts, values)
    runs = symbols.rle().struct
    return BarColumns(runs.field("value").to_list(), runs.field("len").to_numpy(), ts, values)
