"""What must hold for any forecasts and any curve."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.evaluation.bootstrap import bootstrap_difference
from alphamill.evaluation.forecast_metrics import forecast_metrics
from alphamill.evaluation.overfitting import backtest_overfitting
from alphamill.evaluation.performance import drawdown_curve, performance
from alphamill.evaluation.statistics import deflated_sharpe, newey_west_t

START = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
#: Multiples of 1e-4, ties and zeros included: differences stay far above rounding.
returns = st.integers(-2000, 2000).map(lambda basis_points: basis_points / 10_000)


@st.composite
def panels(draw: st.DrawFn) -> pl.DataFrame:
    days, names = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    size = days * names
    return pl.DataFrame(
        {
            "symbol": [f"S{i}" for i in range(names)] * days,
            "ts": [START + dt.timedelta(days=day) for day in range(days) for _ in range(names)],
            "mean": draw(st.lists(returns, min_size=size, max_size=size)),
            "std": draw(st.lists(st.integers(1, 500).map(lambda b: b / 1000), min_size=size, max_size=size)),
            "label": draw(st.lists(returns, min_size=size, max_size=size)),
        }
    )


@settings(max_examples=60, deadline=None)
@given(panels())
def test_every_metric_is_none_or_within_its_range(panel: pl.DataFrame) -> None:
    metrics = forecast_metrics(panel, horizon_bars=2)
    coefficients = (*metrics.daily.ic, *metrics.daily.rank_ic, metrics.pooled_ic, metrics.pooled_rank_ic)
    assert all(value is None or -1.0 <= value <= 1.0 for value in coefficients)
    shares = (
        metrics.sign.accuracy,
        metrics.sign.precision,
        metrics.sign.recall,
        metrics.calibration.brier,
        metrics.calibration.brier_base_rate,
    )
    assert all(value is None or 0.0 <= value <= 1.0 for value in shares)
    observed = [level.observed for level in metrics.calibration.quantiles]
    assert observed == sorted(observed)
    assert np.isfinite(metrics.calibration.nll)


@settings(max_examples=60, deadline=None)
@given(panels(), st.sampled_from([0.25, 2.0, 8.0]))
def test_rank_ic_ignores_the_scale_of_forecasts_and_turns_with_their_sign(panel: pl.DataFrame, scale: float) -> None:
    plain = forecast_metrics(panel, horizon_bars=1).daily.rank_ic
    scaled = forecast_metrics(panel.with_columns(pl.col("mean") * scale), horizon_bars=1).daily.rank_ic
    turned = forecast_metrics(panel.with_columns(-pl.col("mean")), horizon_bars=1).daily.rank_ic
    assert scaled == plain
    assert [None if v is None else -v for v in turned] == pytest.approx(list(plain), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 10_000).map(float), min_size=2, max_size=60))
def test_drawdown_lies_between_zero_and_ruin_and_matches_its_curve(values: list[float]) -> None:
    nav = pl.DataFrame({"at": [START + dt.timedelta(days=i) for i in range(len(values))], "nav_usd": values})
    result, drawdown = performance(nav), drawdown_curve(nav)["drawdown"]
    assert 0.0 <= result.max_drawdown < 1.0
    assert result.max_drawdown == pytest.approx(-float(drawdown.min()))  # type: ignore[arg-type]
    assert (result.drawdown_from is None) == (result.max_drawdown == 0.0)
    if result.drawdown_from is not None and result.drawdown_until is not None:
        assert result.drawdown_from < result.drawdown_until


@settings(max_examples=60, deadline=None)
@given(st.lists(returns, min_size=3, max_size=80), st.integers(1, 30), st.sampled_from([0.5, 4.0]))
def test_newey_west_t_has_no_unit_and_the_sign_of_the_mean(values: list[float], horizon: int, scale: float) -> None:
    series = np.array(values)
    t = newey_west_t(series, horizon_bars=horizon)
    if t is None:
        return
    assert np.isfinite(t)
    assert newey_west_t(series * scale, horizon_bars=horizon) == pytest.approx(t)
    assert newey_west_t(-series, horizon_bars=horizon) == pytest.approx(-t)


@settings(max_examples=60, deadline=None)
@given(st.floats(-0.3, 0.3), st.integers(2, 1000), st.integers(20, 3000))
def test_deflated_sharpe_is_a_probability_that_falls_with_trials(sharpe: float, trials: int, days: int) -> None:
    few, many = (deflated_sharpe(sharpe, trials=n, observations=days) for n in (trials, 2 * trials))
    assert 0.0 <= many <= few <= 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(10, 80))
def test_swapping_the_series_mirrors_the_interval(seed: int, length: int) -> None:
    first, second = np.random.default_rng(seed).normal(size=(2, length))
    there = bootstrap_difference(first, second, samples=200, seed=seed)
    back = bootstrap_difference(second, first, samples=200, seed=seed)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 6))
def test_probability_of_overfitting_ignores_the_order_of_configurations(seed: int, configurations: int) -> None:
    values = np.random.default_rng(seed).normal(size=(40, configurations))
    plain, turned = backtest_overfitting(values, blocks=4), backtest_overfitting(values[:, ::-1], blocks=4)
    assert 0.0 <= plain.probability <= 1.0
    assert turned == plain
