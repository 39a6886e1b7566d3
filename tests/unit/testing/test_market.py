"""The synthetic market is sane, repeatable, and its signal is as strong as it says."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from alphamill.errors import InvalidInput
from alphamill.proofs.synthetic_market import market_with_signal, synthetic_market
from alphamill.validation import validate


def test_its_bars_pass_validation_without_a_remark() -> None:
    bars = synthetic_market(4, 600, seed=5)
    result = validate(bars, calendar="XNYS", now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    assert result.accepted.equals(bars)
    assert result.gaps.is_empty()
    assert result.warnings.is_empty()
    assert result.rows == 2_400


def test_a_seed_is_a_market() -> None:
    assert synthetic_market(2, 50, seed=5).equals(synthetic_market(2, 50, seed=5))
    assert not synthetic_market(2, 50, seed=5).equals(synthetic_market(2, 50, seed=6))


@pytest.mark.parametrize(("ic", "horizon"), [(0.0, 5), (0.1, 5), (-0.2, 5), (0.3, 1), (0.05, 10)])
def test_the_signal_has_the_stated_correlation_with_the_forward_return(ic: float, horizon: int) -> None:
    market = market_with_signal(40, 1_000, seed=5, signal_ic=ic, horizon_bars=horizon)
    ahead = (pl.col("open").shift(-1 - horizon) / pl.col("open").shift(-1) - 1.0).over("symbol").alias("ahead")
    rows = market.bars.with_columns(ahead).join(market.signal, on=["symbol", "ts"]).drop_nulls("ahead")
    measured = np.corrcoef(rows["signal"], rows["ahead"])[0, 1]
    # The signal is independent from day to day: four standard errors of a correlation of n pairs.
    assert measured == pytest.approx(ic, abs=4 / np.sqrt(rows.height))


def test_the_signal_can_be_read_from_the_volume_and_does_not_move_its_own_bar() -> None:
    market = market_with_signal(10, 1_000, seed=5, signal_ic=0.3, horizon_bars=5)
    rows = market.bars.join(market.signal, on=["symbol", "ts"])
    assert np.corrcoef(rows["volume"], rows["signal"])[0, 1] > 0.999_999
    own = (rows["close"] / rows["open"]).log()
    assert abs(np.corrcoef(own, rows["signal"])[0, 1]) < 4 / np.sqrt(rows.height)


@pytest.mark.parametrize(
    ("sizes", "ic", "field"),
    [((0, 5), 0.0, "n_symbols"), ((1, 50_000), 0.0, "n_sessions"), ((1, 5), 0.5, "signal_ic")],
)
def test_an_impossible_market_is_refused(sizes: tuple[int, int], ic: float, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        synthetic_market(*sizes, seed=1, signal_ic=ic)
    assert caught.value.field == field
