"""Training rows as frozen arrays, with a count of every row that was left out."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.errors import DataUnfit, InvalidConfig

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_KEY = ("symbol", "ts", "label", "label_end_ts")


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Features and labels, one row per (ts, symbol), sorted; all values finite; arrays are read-only.

    Attributes
    ----------
    features
        Names of the columns of `x`, in order.
    x, y
        float32, shapes (n, k) and (n,). `y` is the forward return over `horizon_bars`, a fraction.
    ts, label_end
        int64, shape (n,). Microseconds since the epoch: when the row was known, when its label was.
    session
        int64, shape (n,). Position of `ts` among the distinct `ts` of the frame, rows without a label included.
    symbol_code
        int64, shape (n,). Index into `symbols`.
    dropped
        Rows left out: per column how many were null there (a row may count in several), and "rows" in all.
    """

    features: tuple[str, ...]
    symbols: tuple[str, ...]
    horizon_bars: int
    data_version: str
    x: Float32Array
    y: Float32Array
    ts: IntArray
    label_end: IntArray
    session: IntArray
    symbol_code: IntArray
    dropped: dict[str, int]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: BoolArray | IntArray) -> "Dataset":
        """The same data set with only `rows` (a mask or sorted positions); sessions keep their numbers."""
        return replace(
            self,
            x=_frozen(self.x[rows]),
            y=_frozen(self.y[rows]),
            ts=_frozen(self.ts[rows]),
            label_end=_frozen(self.label_end[rows]),
            session=_frozen(self.session[rows]),
            symbol_code=_frozen(self.symbol_code[rows]),
        )

    def known_before(self, moment: dt.datetime) -> "Dataset":
        """Rows whose label had ended before `moment`: what a model trained at `moment` may use."""
        return self.take(self.label_end < to_micros(moment))

    def keys(self) -> pl.DataFrame:
        """Columns symbol and ts, one row per row of `x`."""
        symbol = np.asarray(self.symbols, dtype=object)[self.symbol_code]
        return pl.DataFrame({"symbol": pl.Series(symbol, dtype=pl.String), "ts": pl.Series(self.ts).cast(UTC_TS)})


def to_micros(moment: dt.datetime) -> int:
    """Microseconds since the epoch of a zone-aware time."""
    if moment.tzinfo is None:
        raise InvalidConfig(f"{moment.isoformat()} has no time zone.", field="moment", remedy="Give UTC times.")
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def build_dataset(
    frame: pl.DataFrame, features: Sequence[str], *, horizon_bars: int, data_version: str = "unknown"
) -> Dataset:
    """Freeze labelled feature rows into arrays.

    Parameters
    ----------
    frame
        Columns symbol, ts, label, label_end_ts and every one of `features`. A null means "not yet known"
        (warm-up, or a label in the future): the row is left out and counted.
    horizon_bars
        Bars over which the label is a return.

    Raises
    ------
    InvalidConfig
        A column is missing, or `features` is empty or names one twice.
    DataUnfit
        A value is NaN, infinite or too large for float32; a (symbol, ts) stands twice; a label ends
        before its row; or no row is left.
    """
    names = tuple(features)
    _check_columns(frame, names, horizon_bars)
    session = pl.col("ts").rank("dense").cast(pl.Int64) - 1
    rows = frame.select(*_KEY, *names, session=session).sort("ts", "symbol")
    needed = ("label", "label_end_ts", *names)
    nulls = {name: count for name in needed if (count := rows[name].null_count())}
    kept = rows.drop_nulls(needed)
    _check_rows(kept, names, nulls)
    symbols = tuple(kept["symbol"].unique().sort())
    code = kept["symbol"].cast(pl.Enum(symbols)).to_physical()
    return Dataset(
        features=names,
        symbols=symbols,
        horizon_bars=horizon_bars,
        data_version=data_version,
        x=_frozen(_float32(kept, names)),
        y=_frozen(_float32(kept, ("label",))[:, 0]),
        ts=_frozen(_micros(kept["ts"])),
        label_end=_frozen(_micros(kept["label_end_ts"])),
        session=_frozen(kept["session"].to_numpy()),
        symbol_code=_frozen(code.cast(pl.Int64).to_numpy()),
        dropped=nulls | {"rows": rows.height - kept.height},
    )


def _check_columns(frame: pl.DataFrame, names: tuple[str, ...], horizon_bars: int) -> None:
    if not names or len(set(names)) != len(names):
        raise InvalidConfig(f"features must be named once each, got {list(names)}.", field="features")
    if horizon_bars < 1:
        raise InvalidConfig(f"horizon_bars must be at least 1, got {horizon_bars}.", field="horizon_bars")
    missing = [name for name in (*_KEY, *names) if name not in frame.columns]
    if missing:
        raise InvalidConfig(
            f"the training frame lacks {', '.join(missing)}.",
            field=missing[0],
            remedy="Build the features and labels again with these columns.",
        )


def _check_rows(kept: pl.DataFrame, names: tuple[str, ...], nulls: dict[str, int]) -> None:
    if kept.is_empty():
        raise DataUnfit(
            f"no row has all features and a label; nulls by column: {nulls}.",
            field="label",
            remedy="Load a longer history.",
        )
    twice = kept.filter(kept.select("symbol", "ts").is_duplicated())
    if not twice.is_empty():
        raise DataUnfit(f"{twice['symbol'][0]} at {twice['ts'][0]} stands {twice.height} times.", field="ts")
    early = kept.filter(pl.col("label_end_ts") <= pl.col("ts"))
    if not early.is_empty():
        raise DataUnfit(
            f"the label of {early['symbol'][0]} at {early['ts'][0]} ends at {early['label_end_ts'][0]}, "
            "not after the row.",
            field="label_end_ts",
        )
    with np.errstate(over="ignore"):
        for name in (*names, "label"):
            bad = ~np.isfinite(kept[name].to_numpy().astype(np.float32))
            if bad.any():
                row = kept.row(int(np.argmax(bad)), named=True)
                raise DataUnfit(
                    f"{name} of {row['symbol']} at {row['ts']} is {row[name]}: not a finite float32.",
                    field=name,
                    remedy="Mend the bars or the feature; training never fills values in.",
                )


def _float32(frame: pl.DataFrame, names: tuple[str, ...]) -> Float32Array:
    return np.ascontiguousarray(frame.select(pl.col(names).cast(pl.Float64)).to_numpy().astype(np.float32))


def _micros(column: pl.Series) -> IntArray:
    return column.cast(UTC_TS).to_physical().to_numpy()


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    own = np.array(values)
    own.setflags(write=False)
    return own
