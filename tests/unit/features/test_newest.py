"""The newest bars of many symbols are computed at once and equal those computed alone."""

from typing import Any

import numpy as np
import pytest

from alphamill.errors import DataUnfit, InvalidFeatures
from alphamill.features import Prices, compute, feature, newest
from alphamill.features.history import BarHistory
from alphamill.proofs.synthetic_market import synthetic_market

pytestmark = pytest.mark.usefixtures("own_features")


@pytest.mark.parametrize("at_once", [1, 700, 60_000])
def test_histories_of_every_length_laid_one_behind_the_other_are_computed_as_if_alone(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alphamill.features.newest_rows._BARS_AT_ONCE", at_once)
    bars = synthetic_market(12, 300, seed=4)
    ages = {symbol: 1 + 27 * i for i, symbol in enumerate(bars["symbol"].unique().sort())}
    frames = [bars_of.tail(ages[symbol]) for (symbol,), bars_of in bars.group_by("symbol", maintain_order=True)]
    history = BarHistory()
    for frame in frames:
        history.append(frame)
    rows = [compute(frame)[-1] for frame in frames]
    assert newest(history).rows() == [row for frame in rows for row in frame.rows()]


def test_a_value_that_is_not_finite_names_its_symbol_and_time(bars_of: Any) -> None:
    @feature("inverse", inputs=("close",), warm_up=1, across=True)
    def inverse(w: Prices) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return 1.0 / (w.close / w.unit - 3.0)

    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    history.append(bars_of([2.0, 3.0, 4.0], "IBM"))
    with pytest.raises(DataUnfit, match=r"inverse of IBM at 2010-01-05 21:00:00\+00:00 is inf"):
        newest(history, ["inverse"])


def test_a_feature_that_cannot_be_computed_across_is_refused(bars_of: Any) -> None:
    @feature("since_first", inputs=("close",), warm_up=0, across=True)
    def since_first(w: Prices) -> np.ndarray:
        return np.where(np.arange(w.close.size) < 3, w.close, np.nan)

    @feature("short", inputs=("close",), warm_up=0, across=True)
    def short(w: Prices) -> np.ndarray:
        return w.close[1:]

    @feature("buggy", inputs=("close",), warm_up=0, across=True)
    def buggy(w: Prices) -> np.ndarray:
        raise KeyError("beta")

    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    history.append(bars_of([1.0, 2.0], "IBM"))
    with pytest.raises(InvalidFeatures, match="since_first of IBM is finite alone"):
        newest(history, ["since_first"])
    with pytest.raises(InvalidFeatures, match=r"short gave shape \(3,\) for 4 bars"):
        newest(history, ["short"])
    with pytest.raises(DataUnfit, match=r"buggy fails on 2 symbols: KeyError\('beta'\)"):
        newest(history, ["buggy"])
