from typing import Any

import numpy as np
import pytest

from alphamill.errors import DataUnfit, InvalidConfig, InvalidFeatures, UnknownSymbol
from alphamill.features import Prices, compute, feature, newest, registered, resolve
from alphamill.features.history import BarHistory

pytestmark = pytest.mark.usefixtures("own_features")


def test_an_own_feature_is_a_few_lines_and_flows_into_every_table(bars_of: Any) -> None:
    @feature("gap_1", inputs=("open", "close"), warm_up=1)
    def gap_1(w: Prices) -> np.ndarray:
        """Open against the close before."""
        return np.append(np.nan, w.open[1:] / w.close[:-1] - 1.0)

    bars = bars_of([10.0, 20.0, 5.0], open=[10.0, 11.0, 5.5], price_factor=[1.0, 1.0, 0.25])
    table = compute(bars, ["gap_1", "ret_1"])
    assert table.columns == ["symbol", "ts", "gap_1", "ret_1"]
    assert table["gap_1"].to_list() == [None, pytest.approx(0.1), pytest.approx(0.1)]
    assert newest(BarHistory.from_bars(bars))["gap_1"].to_list() == table["gap_1"].to_list()[-1:]
    known = resolve(["gap_1"])[0]
    assert (known.window, known.unit, known.doc) == (2, "fraction", "Open against the close before.")


def test_unknown_or_doubled_names_are_refused(bars_of: Any) -> None:
    with pytest.raises(InvalidFeatures, match=r"unknown features \['nope'\].*ret_1"):
        compute(bars_of([1.0]), ["ret_1", "nope"])
    with pytest.raises(InvalidFeatures, match="twice"):
        resolve(["ret_1", "ret_1"])


@pytest.mark.parametrize("name", ["symbol", "ts", "close", "label", "Gap", "gap__1", "1gap", "", "gap-1"])
def test_a_name_that_cannot_be_a_column_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="cannot name"):
        feature(name, inputs=("open",), warm_up=1)(lambda w: w.open)


@pytest.mark.parametrize("change", [{"inputs": ()}, {"inputs": ("vwap",)}, {"warm_up": -1}, {"window": 0}])
def test_a_wrong_declaration_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match="gap_1"):
        feature("gap_1", **{"inputs": ("open",), "warm_up": 1, **change})(lambda w: w.open)


def test_a_taken_name_is_refused_but_a_reload_is_not() -> None:
    def again(w: Prices) -> np.ndarray:
        return w.close

    before = len(registered())
    for _ in range(2):
        feature("level", inputs=("close",), warm_up=0)(again)
    assert len(registered()) == before + 1
    with pytest.raises(InvalidConfig, match=r"rsi_14.*already registered by alphamill\.features\.indicators"):
        feature("rsi_14", inputs=("close",), warm_up=0)(again)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_after_its_warm_up_stops_both_ways(bars_of: Any, bad: float) -> None:
    @feature("leaky", inputs=("close",), warm_up=1)
    def leaky(w: Prices) -> np.ndarray:
        out = w.close.copy()
        out[3:4] = bad
        return out

    bars = bars_of([1.0, 2.0, 3.0, 4.0, 5.0])
    for attempt in (lambda: compute(bars), lambda: newest(BarHistory.from_bars(bars))):
        with pytest.raises(DataUnfit, match=r"leaky of AAPL at 2010-01-07 21:00:00\+00:00 is (nan|inf)"):
            attempt()
    assert compute(bars[:3], ["leaky"])["leaky"].to_list()[0] is None


def test_a_feature_of_wrong_shape_or_with_a_bug_is_named(bars_of: Any) -> None:
    @feature("short", inputs=("close",), warm_up=0)
    def short(w: Prices) -> np.ndarray:
        return w.close[1:]

    @feature("buggy", inputs=("close",), warm_up=0)
    def buggy(w: Prices) -> np.ndarray:
        w.close[0] = 1.0  # inputs are read-only
        return w.close

    with pytest.raises(InvalidFeatures, match=r"short gave shape \(2,\) for 3 bars of AAPL"):
        compute(bars_of([1.0, 2.0, 3.0]), ["short"])
    with pytest.raises(DataUnfit, match=r"buggy fails on AAPL.*read-only"):
        compute(bars_of([1.0, 2.0, 3.0]), ["buggy"])


def test_short_histories_give_nulls_and_no_bars_give_an_empty_table(bars_of: Any) -> None:
    one = compute(bars_of([1.0]))
    assert one.height == 1
    assert one.drop("symbol", "ts").null_count().sum_horizontal().item() == len(registered())
    empty = compute(bars_of([]))
    assert (empty.height, empty.schema) == (0, one.schema)
    assert newest(BarHistory()).schema == one.schema


def test_newest_answers_the_symbols_asked_for_in_that_order(bars_of: Any) -> None:
    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    history.append(bars_of([5.0, 6.0], "IBM"))
    assert newest(history, ["ret_1"], ["IBM", "AAPL"])["symbol"].to_list() == ["IBM", "AAPL"]
    assert newest(history, ["ret_1"], ["IBM"])["ret_1"].to_list() == [pytest.approx(0.2)]
    with pytest.raises(UnknownSymbol, match="FB"):
        newest(history, ["ret_1"], ["FB"])
