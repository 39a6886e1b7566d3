from typing import Any

import polars as pl
import pytest

from alphamill.errors import InvalidBar, InvalidConfig
from alphamill.features import forward_return


def test_the_label_runs_from_the_next_open_to_the_open_after_the_horizon(bars_of: Any) -> None:
    bars = bars_of([9.0] * 6, open=[10.0, 11.0, 12.0, 13.2, 14.0, 15.6])
    table = forward_return(bars, 2)
    assert table.columns == ["symbol", "ts", "label", "label_end_ts"]
    expected = [13.2 / 11 - 1, 14 / 12 - 1, 15.6 / 13.2 - 1]
    assert table["label"].to_list() == [*map(pytest.approx, expected), None, None, None]
    assert table["label_end_ts"].to_list() == [*bars["ts"][3:].to_list(), None, None, None]


def test_a_split_within_the_horizon_earns_nothing(bars_of: Any) -> None:
    factors = [1.0, 1.0, 1.0, 0.5, 1.0]
    bars = bars_of([10.0] * 5, open=[10.0, 10.0, 10.0, 5.0, 5.0], price_factor=factors, split_factor=factors)
    assert forward_return(bars, 1)["label"].to_list() == [0.0, 0.0, 0.0, None, None]


def test_labels_do_not_run_from_one_symbol_into_the_next(bars_of: Any) -> None:
    table = forward_return(pl.concat([bars_of([1.0] * 3), bars_of([50.0] * 3, "IBM")]), 1)
    assert table["label"].to_list() == [0.0, None, None, 0.0, None, None]


def test_short_or_no_history_has_no_label(bars_of: Any) -> None:
    assert forward_return(bars_of([1.0, 2.0]), 5)["label"].to_list() == [None, None]
    assert forward_return(bars_of([]), 5).is_empty()


def test_a_wrong_horizon_or_bar_is_refused(bars_of: Any) -> None:
    with pytest.raises(InvalidConfig, match="horizon_bars is 0"):
        forward_return(bars_of([1.0]), 0)
    with pytest.raises(InvalidBar, match="open of AAPL"):
        forward_return(bars_of([1.0, 2.0], open=[1.0, float("nan")]), 1)
