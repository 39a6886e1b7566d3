"""Planted leaks and their clean twins: the check is only worth something if it catches the one and passes the other."""

import datetime as dt
import operator
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.evaluation.lookahead.probes import Compute

Ints = npt.NDArray[np.int64]
#: From the bars of all symbols to one column named value, computed symbol by symbol.
Column = Callable[[], pl.Expr]

_WINDOW: Final = 11
_AHEAD: Final = 5


def _per_symbol(column: Column) -> Compute:
    def compute(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        return bars.sort("symbol", "ts").select("symbol", "ts", value=column().over("symbol"))

    return compute


def _window_mean(first: int, last: int) -> pl.Expr:
    """Mean close over the bars first..last relative to each bar, added in one fixed order.

    `pl.sum_horizontal` adds in parallel: its last digit is not the same in every run.
    """
    close = pl.col("close")
    terms = [close.shift(-k) for k in range(first, last + 1)]
    return reduce(operator.add, terms) / len(terms)


def _running_zscore() -> pl.Expr:
    close, count = pl.col("close"), pl.int_range(1, pl.len() + 1)
    mean = close.cum_sum() / count
    return (close - mean) / ((close**2).cum_sum() / count - mean**2).clip(1e-12).sqrt()


def _factor() -> pl.Expr:
    return pl.col("price_factor").log().cum_sum()


def _filled(fill: Callable[[pl.Expr], pl.Expr]) -> Compute:
    """Closes on every session of the market, holes of a symbol filled."""

    def compute(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        grid = bars.select("symbol").unique().join(bars.select("ts").unique(), how="cross").sort("symbol", "ts")
        rows = grid.join(bars.select("symbol", "ts", "close"), on=["symbol", "ts"], how="left", maintain_order="left")
        return rows.select("symbol", "ts", value=fill(pl.col("close")).over("symbol"))

    return compute


def _scaled_by(rows: Callable[[dt.datetime], pl.Expr]) -> Compute:
    """Mean and spread of closes over the rows that count as training rows at the cut."""

    def compute(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        taken = bars.filter(rows(cut)).sort("symbol", "ts").group_by("symbol", maintain_order=True)
        return taken.agg(mean=pl.col("close").mean(), std=pl.col("close").std()).with_columns(
            pl.lit(cut).cast(bars.schema["ts"]).alias("ts")
        )

    return compute


def _used(rows: pl.Expr) -> Compute:
    def compute(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        return bars.filter(rows).select("symbol", "ts", value="close")

    return compute


def _label(ends_after: int) -> Compute:
    """A return over the next bars, known from the bar on that it says it ends with."""

    def compute(bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        future = (pl.col("open").shift(-1 - _AHEAD) / pl.col("open").shift(-1) - 1.0).over("symbol")
        ends = pl.col("ts").shift(-ends_after).over("symbol")
        rows = bars.sort("symbol", "ts").select("symbol", "ts", label=future, ends=ends)
        return rows.select("symbol", "ts", label=pl.when(pl.col("ends") <= cut).then(pl.col("label")))

    return compute


#: By name: the leak, then its clean twin. Each goes through `check_probe`.
COLUMN_CONTROLS: Final[dict[str, tuple[Compute, Compute]]] = {
    "centred window": (
        _per_symbol(lambda: _window_mean(-(_WINDOW // 2), _WINDOW // 2)),
        _per_symbol(lambda: _window_mean(1 - _WINDOW, 0)),
    ),
    "whole-sample scaling": (
        _per_symbol(lambda: (pl.col("close") - pl.col("close").mean()) / pl.col("close").std()),
        _per_symbol(_running_zscore),
    ),
    "scaling beyond the training window": (
        _scaled_by(lambda cut: pl.lit(value=True)),
        _scaled_by(lambda cut: pl.col("ts") <= cut),
    ),
    "gap filled from the future": (_filled(pl.Expr.backward_fill), _filled(pl.Expr.forward_fill)),
    "adjusted by a future factor": (
        _per_symbol(lambda: pl.col("close") * (_factor().last() - _factor()).exp()),
        _per_symbol(lambda: pl.col("close") * (-_factor()).exp()),
    ),
    "target among the features": (
        _per_symbol(lambda: pl.col("open").shift(-1 - _AHEAD) / pl.col("open").shift(-1) - 1.0),
        _per_symbol(lambda: pl.col("open") / pl.col("open").shift(_AHEAD) - 1.0),
    ),
    "label known before it ends": (_label(_AHEAD), _label(1 + _AHEAD)),
    "late bar used before it arrived": (
        _used(pl.lit(value=True)),
        _used(pl.col("ingested_at") <= pl.col("ts")),
    ),
}


def unpurged_folds(ts: Ints, label_end: Ints, purge: bool) -> Iterator[tuple[Ints, Ints]]:
    """Three expanding folds; without `purge` the last training labels end inside the test window."""
    for share in (0.4, 0.6, 0.8):
        first, stop = np.quantile(ts, [share, share + 0.2], method="nearest")
        train = (label_end < first) if purge else (ts < first)
        yield np.flatnonzero(train), np.flatnonzero((ts >= first) & (ts < stop))
