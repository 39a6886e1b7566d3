"""The forecast panel and the NAV curve: what they must look like before anything is measured."""

from typing import Final

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.errors import DataUnfit

#: One row per (symbol, ts). mean, std and label are forward returns over the horizon, as fractions.
PANEL_SCHEMA: Final = pl.Schema(
    {"symbol": pl.String(), "ts": UTC_TS, "mean": pl.Float64(), "std": pl.Float64(), "label": pl.Float64()}
)
_VALUES: Final = ("mean", "std", "label")


def _require(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise DataUnfit(f"the {what} has no column {missing[0]!r}.", field=missing[0], remedy=f"Give {columns}.")
    if frame.is_empty():
        raise DataUnfit(f"the {what} has no rows.", field=what, remedy="Evaluate over at least one fold.")


def _require_finite(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> None:
    for name in columns:
        bad = frame[name].null_count() + int((~frame[name].drop_nulls().is_finite()).sum())
        if bad:
            raise DataUnfit(
                f"{bad} of {frame.height} values of {name!r} in the {what} are null or not finite.",
                field=name,
                remedy="Drop rows without a label; a forecast that is not finite is a fault of the model.",
            )


def checked_panel(panel: pl.DataFrame) -> pl.DataFrame:
    """The panel with the columns of `PANEL_SCHEMA`, sorted by (ts, symbol).

    Parameters
    ----------
    panel
        Columns symbol, ts, mean, std, label; any order of rows, more columns are dropped.

    Raises
    ------
    DataUnfit
        A column is missing, there are no rows, a value is null or not finite, a std is not positive,
        or a (symbol, ts) occurs twice. Nothing is filled or skipped.
    """
    _require(panel, tuple(PANEL_SCHEMA), "forecast panel")
    rows = panel.select(pl.col(name).cast(kind) for name, kind in PANEL_SCHEMA.items()).sort("ts", "symbol")
    _require_finite(rows, _VALUES, "forecast panel")
    if rows.filter(pl.col("std") <= 0).height:
        raise DataUnfit(
            "the forecast panel has a std that is not positive.", field="std", remedy="A forecast needs a spread > 0."
        )
    twice = int(rows.select(pl.struct("symbol", "ts").is_duplicated().sum()).item())
    if twice:
        raise DataUnfit(
            f"{twice} rows of the forecast panel share a (symbol, ts) with another.",
            field="ts",
            remedy="Keep one out-of-sample forecast per symbol and bar.",
        )
    return rows


def checked_nav(nav: pl.DataFrame) -> pl.DataFrame:
    """The curve as (at, nav_usd Float64), sorted by time.

    Raises
    ------
    DataUnfit
        A column is missing, fewer than two points, a value null, not finite or <= 0, or a time occurs twice.
    """
    _require(nav, ("at", "nav_usd"), "NAV curve")
    rows = nav.select("at", pl.col("nav_usd").cast(pl.Float64)).sort("at")
    _require_finite(rows, ("nav_usd",), "NAV curve")
    if rows.height < 2:
        raise DataUnfit("the NAV curve has one point.", field="nav_usd", remedy="Performance needs two or more.")
    if float(rows["nav_usd"].min()) <= 0:  # type: ignore[arg-type]
        raise DataUnfit("the NAV curve is not positive.", field="nav_usd", remedy="A ruined account has no returns.")
    if rows["at"].null_count() or rows["at"].n_unique() != rows.height:
        raise DataUnfit("the NAV curve has a time twice or none.", field="at", remedy="Give one point per session.")
    return rows
