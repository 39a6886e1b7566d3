"""An adjusted close becomes a price factor; rounding never becomes a dividend."""

import datetime as dt
from collections.abc import Sequence

import polars as pl
import pytest

from alphamill.adapters.feeds.factors import with_price_factor


def factors(
    close: Sequence[float], adj_close: Sequence[float | None], days: Sequence[int] | None = None
) -> list[float]:
    sessions = [dt.date(2024, 1, day) for day in days or range(2, 2 + len(close))]
    bars = pl.DataFrame({"symbol": ["A"] * len(close), "session": sessions, "close": close, "adj_close": adj_close})
    return with_price_factor(bars)["price_factor"].to_list()


def test_a_two_for_one_split_is_a_half() -> None:
    assert factors([100.0, 50.0, 51.0], [50.0, 50.0, 51.0]) == [1.0, 0.5, 1.0]


def test_a_dividend_of_one_percent_is_kept() -> None:
    assert factors([100.0, 99.0], [99.0, 99.0]) == [1.0, pytest.approx(0.99)]


def test_rounding_to_cents_is_no_dividend() -> None:
    cumulative = 0.123456789
    close = [10.11, 10.37, 9.98, 10.02]
    assert factors(close, [round(price * cumulative, 2) for price in close]) == [1.0] * 4


def test_float32_noise_is_no_dividend() -> None:
    close = pl.Series([130.309998, 122.0, 128.119995, 125.690002])
    adjusted = (close * 0.0321).cast(pl.Float32).cast(pl.Float64)
    assert factors(close.to_list(), adjusted.to_list()) == [1.0] * 4


def test_a_missing_adjusted_close_is_null_and_the_next_bar_carries_the_split() -> None:
    assert factors([100.0, 50.0, 51.0], [50.0, None, 51.0]) == [1.0, None, 0.5]


def test_rows_need_not_be_sorted() -> None:
    assert factors([50.0, 100.0], [50.0, 50.0], days=[4, 3]) == [0.5, 1.0]


def test_two_rows_of_one_session_compare_with_the_session_before() -> None:
    assert factors([100.0, 50.0, 50.5, 51.0], [50.0, 50.0, 50.5, 51.0], days=[2, 3, 3, 4]) == [1.0, 0.5, 0.5, 1.0]
