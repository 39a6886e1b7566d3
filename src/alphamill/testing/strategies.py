"""Hypothesis strategies: bars that keep every rule, and bars that break exactly one."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import polars as pl
from hypothesis import strategies as st

from alphamill.domain.bars import BAR_SCHEMA, RAW_BAR_SCHEMA
from alphamill.domain.calendars import sessions_between

#: Every bar of these strategies lies before this moment.
NOW: Final = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)
SYMBOLS: Final = ("AAA", "BBB", "CCC")
_FIRST, _LAST = dt.date(2024, 1, 2), dt.date(2024, 6, 28)

_Row = Mapping[str, Any]


@st.composite
def _bar_row(draw: st.DrawFn) -> dict[str, Any]:
    day = draw(st.sampled_from(sessions_between("XNYS", _FIRST, _LAST).rows(named=True)))
    low = draw(st.floats(0.01, 1e6))
    prices = sorted(draw(st.lists(st.floats(low, low * 1.5), min_size=3, max_size=3)))
    opens, closes = draw(st.permutations(prices[:2]))
    return {
        "symbol": draw(st.sampled_from(SYMBOLS)),
        "ts": day["close_ts"],
        "session": day["session"],
        "open": opens,
        "high": prices[2],
        "low": low,
        "close": closes,
        "volume": float(draw(st.integers(0, 10**10))),
        "price_factor": draw(st.sampled_from((1.0, 1.0, 1.0, 0.5, 0.995, 2.0))),
        "split_factor": 1.0,
        "source": "hypothesis",
        "ingested_at": NOW,
    }


def bar_frames(*, min_size: int = 0, max_size: int = 12) -> st.SearchStrategy[pl.DataFrame]:
    """Valid bars of `BAR_SCHEMA`: XNYS sessions of early 2024, one bar per (symbol, ts), any order."""
    rows = st.lists(_bar_row(), min_size=min_size, max_size=max_size, unique_by=lambda row: (row["symbol"], row["ts"]))
    return rows.map(lambda found: pl.DataFrame(found, schema=BAR_SCHEMA))


def raw_bar_frames(*, min_size: int = 0, max_size: int = 12) -> st.SearchStrategy[pl.DataFrame]:
    """The same bars as a feed yields them, symbols in mixed case with blanks around."""
    return bar_frames(min_size=min_size, max_size=max_size).map(
        lambda bars: bars.with_columns(" " + pl.col("symbol").str.to_lowercase() + " ").select(RAW_BAR_SCHEMA.names())
    )


_NUMBERS: Final = ("open", "high", "low", "close", "volume", "price_factor")
_PRICES: Final = ("open", "high", "low", "close")

#: How to break one rule, by its code: from a good row to the values that replace its own.
_BREAKERS: Final[dict[str, Callable[[_Row], st.SearchStrategy[dict[str, Any]]]]] = {
    "BAD_SYMBOL": lambda _: st.sampled_from((None, "", "A B", "Ä", "A" * 33)).map(lambda value: {"symbol": value}),
    "MISSING_SESSION": lambda _: st.just({"session": None, "ts": None}),
    "NOT_FINITE": lambda _: st.tuples(
        st.sampled_from(_NUMBERS), st.sampled_from((None, math.nan, math.inf, -math.inf))
    ).map(lambda pair: {pair[0]: pair[1]}),
    "NOT_POSITIVE": lambda _: st.tuples(st.sampled_from(_PRICES), st.floats(-1e6, 0.0)).map(
        lambda pair: {pair[0]: pair[1]}
    ),
    "BAD_FACTOR": lambda _: st.floats(-10.0, 0.0).map(lambda value: {"price_factor": value}),
    "NEGATIVE_VOLUME": lambda _: st.floats(-1e9, -1e-3).map(lambda value: {"volume": value}),
    "NOT_BELIEVABLE": lambda _: st.sampled_from(
        [{"high": 1.1e12}, {"volume": 1.1e18}, {"price_factor": 9e-7}, {"price_factor": 1.1e6}]
    ),
    "OHLC_INCONSISTENT": lambda row: st.sampled_from(({"high": row["low"] * 0.99}, {"low": row["high"] * 1.01})),
    "FUTURE_BAR": lambda _: st.just({"session": dt.date(2024, 7, 1), "ts": dt.datetime(2024, 7, 1, 20, tzinfo=dt.UTC)}),
    "OUTSIDE_CALENDAR": lambda _: st.just(
        {"session": dt.date(1950, 1, 3), "ts": dt.datetime(1950, 1, 4, tzinfo=dt.UTC)}
    ),
    "NOT_A_SESSION": lambda _: st.sampled_from((dt.date(2024, 5, 27), dt.date(2024, 6, 22))).map(
        lambda day: {"session": day, "ts": dt.datetime(day.year, day.month, day.day + 1, tzinfo=dt.UTC)}
    ),
    "TS_NOT_CLOSE": lambda row: st.just({"ts": row["ts"] - dt.timedelta(hours=1)}),
}


@st.composite
def broken_bars(draw: st.DrawFn) -> tuple[pl.DataFrame, str]:
    """One bar of `BAR_SCHEMA` that breaks one rule, and the code of that rule."""
    row = draw(_bar_row())
    code = draw(st.sampled_from(sorted(_BREAKERS)))
    return pl.DataFrame([{**row, **draw(_BREAKERS[code](row))}], schema=BAR_SCHEMA), code
