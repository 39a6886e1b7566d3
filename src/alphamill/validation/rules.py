"""The rules a single bar must keep. To add one: write its checks and put it into `ROW_RULES`."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from alphamill.domain.bars import SYMBOL

_PRICES: Final = ("open", "high", "low", "close")
#: Beyond any market. Cash amounts, squares and products of values within stay exact or at least finite.
MAX_PRICE: Final = 1e12
MAX_VOLUME: Final = 1e18
MIN_FACTOR: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Context:
    """What rules know besides the bar. Each row also has ``_close_ts``, its session's close or null, and ``_now``."""

    calendar: str
    first_session: dt.date
    last_session: dt.date


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule.

    Parameters
    ----------
    name, code
        Name for people, and the reason written beside a quarantined bar.
    demands
        What must hold, as half a sentence.
    breaks
        For each field that can break the rule, an expression that is true where it does. Null is false.
    """

    name: str
    code: str
    demands: str
    breaks: Callable[[Context], Mapping[str, pl.Expr]]

    def broken(self, context: Context) -> pl.Expr:
        """True for the rows that break the rule."""
        return pl.any_horizontal(check.fill_null(False) for check in self.breaks(context).values())


def _symbol_named(_: Context) -> Mapping[str, pl.Expr]:
    return {"symbol": pl.col("symbol").is_null() | ~pl.col("symbol").str.contains(SYMBOL)}


def _session_known(_: Context) -> Mapping[str, pl.Expr]:
    return {name: pl.col(name).is_null() for name in ("session", "ts")}


def _finite_values(_: Context) -> Mapping[str, pl.Expr]:
    columns = (*_PRICES, "volume", "price_factor")
    return {name: pl.col(name).is_null() | ~pl.col(name).is_finite() for name in columns}


def _positive_prices(_: Context) -> Mapping[str, pl.Expr]:
    return {name: pl.col(name) <= 0 for name in _PRICES}


def _positive_factor(_: Context) -> Mapping[str, pl.Expr]:
    return {"price_factor": pl.col("price_factor") <= 0}


def _believable(_: Context) -> Mapping[str, pl.Expr]:
    prices = {name: pl.col(name) > MAX_PRICE for name in _PRICES}
    factor = ~pl.col("price_factor").is_between(MIN_FACTOR, 1 / MIN_FACTOR)
    return prices | {"volume": pl.col("volume") > MAX_VOLUME, "price_factor": factor}


def _non_negative_volume(_: Context) -> Mapping[str, pl.Expr]:
    return {"volume": pl.col("volume") < 0}


def _ohlc_consistent(_: Context) -> Mapping[str, pl.Expr]:
    return {
        "high": pl.col("high") < pl.max_horizontal("open", "close", "low"),
        "low": pl.col("low") > pl.min_horizontal("open", "close"),
    }


def _inside_calendar(context: Context) -> Mapping[str, pl.Expr]:
    return {"session": ~pl.col("session").is_between(context.first_session, context.last_session)}


def _not_in_future(_: Context) -> Mapping[str, pl.Expr]:
    return {"ts": pl.col("ts") > pl.col("_now")}


def _is_session(_: Context) -> Mapping[str, pl.Expr]:
    return {"session": pl.col("_close_ts").is_null()}


def _stamped_at_close(_: Context) -> Mapping[str, pl.Expr]:
    return {"ts": pl.col("ts") != pl.col("_close_ts")}


#: In this order: the first broken rule is the reason, so causes stand before consequences.
ROW_RULES: Final = (
    Rule("symbol_named", "BAD_SYMBOL", "symbol is 1 to 32 of A-Z 0-9 . _ / = ^ -", _symbol_named),
    Rule("session_known", "MISSING_SESSION", "the date can be read", _session_known),
    Rule("finite_values", "NOT_FINITE", "prices, volume and price factor are finite numbers", _finite_values),
    Rule("positive_prices", "NOT_POSITIVE", "prices are above zero", _positive_prices),
    Rule("positive_factor", "BAD_FACTOR", "the price factor is above zero", _positive_factor),
    Rule("non_negative_volume", "NEGATIVE_VOLUME", "volume is not negative", _non_negative_volume),
    Rule(
        "believable",
        "NOT_BELIEVABLE",
        f"prices <= {MAX_PRICE:g}, volume <= {MAX_VOLUME:g}, factor >= {MIN_FACTOR:g}",
        _believable,
    ),
    Rule("ohlc_consistent", "OHLC_INCONSISTENT", "low <= open, close <= high", _ohlc_consistent),
    Rule("not_in_future", "FUTURE_BAR", "the session has closed", _not_in_future),
    Rule("inside_calendar", "OUTSIDE_CALENDAR", "the calendar covers the date", _inside_calendar),
    Rule("is_session", "NOT_A_SESSION", "the date is a trading day of the calendar", _is_session),
    Rule("stamped_at_close", "TS_NOT_CLOSE", "ts is the close of the session", _stamped_at_close),
)


@lru_cache(maxsize=16)
def first_broken(context: Context) -> pl.Expr:
    """Code of the first broken rule per row; null for a row that keeps them all. Built once: the doors ask often."""
    return pl.coalesce(
        pl.when(rule.broken(context)).then(pl.lit(rule.code)).otherwise(pl.lit(None, dtype=pl.String))
        for rule in ROW_RULES
    )
