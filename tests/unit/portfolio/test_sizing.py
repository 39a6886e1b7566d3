"""Signals and target weights, against closed forms where there is one."""

import datetime as dt
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from alphamill.domain.decisions import Signal
from alphamill.domain.forecasts import Forecast
from alphamill.domain.portfolios import Sizing
from alphamill.errors import DataUnfit
from alphamill.portfolio import segments, signals, target_weights
from alphamill.portfolio.bounds import bounds, clean
from alphamill.portfolio.correlation import shrinkage, shrunk_correlation
from alphamill.portfolio.covariance import FactorCovariance
from alphamill.portfolio.mean_variance import mean_variance
from alphamill.portfolio.segments import Segments

AT = dt.datetime(2012, 10, 1, 20, tzinfo=dt.UTC)
RNG = np.random.default_rng(7)


def forecast(symbol: str, mean: float, std: float = 0.03) -> Forecast:
    return Forecast(symbol, AT, mean, std, "1")


def uncorrelated(n: int, bars: int = 64) -> np.ndarray:
    """Columns of a Hadamard-like design: sample correlation is exactly zero."""
    base = np.array([[1.0]])
    while len(base) < bars:
        base = np.block([[base, base], [base, -base]])
    return 0.01 * base[:, 1 : n + 1]


def weigh(means: dict[str, float], current: dict[str, float] | None = None, **options: Any) -> dict[str, float]:
    forecasts = [forecast(symbol, mean) for symbol, mean in means.items()]
    returns = options.pop("returns", uncorrelated(len(forecasts)))
    given = options.pop("signals", signals(forecasts, 0.0))
    sizing = Sizing(**{"turnover_penalty_bps": 0, "max_weight": 1.0, **options})
    return target_weights(
        sizing, forecasts=forecasts, signals=given, returns=returns, current=current or {}, horizon_bars=5
    )


def test_signals_are_strict_about_the_threshold() -> None:
    means = {"A": 0.00051, "B": 0.0005, "C": 0.0, "D": -0.0005, "E": -0.00051}
    told = signals([forecast(s, m) for s, m in means.items()], 5)
    assert [told[s] for s in means] == [Signal.BUY, Signal.HOLD, Signal.HOLD, Signal.HOLD, Signal.SELL]


def test_uncorrelated_weights_are_mean_over_gamma_variance() -> None:
    """The closed form w = mu / (gamma s^2) for independent assets inside all limits."""
    weights = weigh({"A": 0.0018, "B": 0.0009}, risk_aversion=10, gross_limit=4)
    assert weights == {"A": pytest.approx(0.2, abs=2e-6), "B": pytest.approx(0.1, abs=2e-6)}


def test_trading_cost_moves_the_optimum_by_cost_over_gamma_variance() -> None:
    """Inside the limits w = (mu - kappa) / (gamma s^2) for a buy; a gain under the cost is not traded."""
    options = {"risk_aversion": 10.0, "turnover_penalty_bps": 9.0, "gross_limit": 4.0}
    assert weigh({"A": 0.0018}, **options)["A"] == pytest.approx(0.1, abs=2e-6)
    assert weigh({"A": 0.0018}, {"A": 0.15}, **options)["A"] == 0.15
    assert weigh({"A": 0.0018}, {"A": 0.5}, **options)["A"] == pytest.approx(0.3, abs=2e-6)


def test_limits_bind_exactly() -> None:
    weights = weigh({"A": 0.5, "B": 0.4, "C": 0.3}, max_weight=0.4)
    assert weights == {"A": 0.4, "B": 0.4, "C": 0.2}


def test_hold_keeps_the_weight_and_sell_does_not_raise_it() -> None:
    given = {"A": Signal.HOLD, "B": Signal.SELL, "C": Signal.BUY}
    current = {"A": 0.123456, "B": 0.05}
    weights = weigh({"A": 0.2, "B": 0.2, "C": 0.2}, current, signals=given)
    assert weights["A"] == 0.123456
    assert weights["B"] <= 0.05
    assert weights["C"] > 0.8


def test_held_weight_above_the_limit_is_clipped() -> None:
    assert weigh({"A": 0.0}, {"A": 0.7}, max_weight=0.4) == {"A": 0.4}


def test_held_weights_above_the_gross_limit_shrink_in_proportion() -> None:
    weights = weigh({"A": 0.0, "B": 0.0, "C": 0.1}, {"A": 0.9, "B": 0.3}, gross_limit=0.8)
    assert weights == {"A": 0.6, "B": 0.2, "C": 0.0}


def test_position_without_forecast_uses_up_the_gross_limit() -> None:
    assert weigh({"A": 0.5}, {"Z": 0.7})["A"] == pytest.approx(0.3)
    assert weigh({"A": 0.5}, {"Z": 0.7}, method="equal_weight")["A"] == pytest.approx(0.3)


def test_shorts_are_sized_when_allowed() -> None:
    weights = weigh({"A": -0.0018, "B": 0.5}, risk_aversion=10, long_only=False, gross_limit=4, max_weight=0.5)
    assert weights == {"A": pytest.approx(-0.2, abs=2e-6), "B": 0.5}
    assert weigh({"A": -0.5, "B": 0.5}, long_only=False) == {"A": -0.5, "B": 0.5}


def test_short_that_may_not_be_bought_back_is_fitted_into_the_gross_limit() -> None:
    current = {"A": -0.6, "B": -0.6}
    assert weigh({"A": -0.1, "B": -0.1, "C": 0.3}, current, long_only=False) == {"A": -0.5, "B": -0.5, "C": 0.0}


def test_correlated_twin_is_worth_less() -> None:
    shared = RNG.standard_normal((250, 1))
    returns = 0.01 * np.hstack([shared, shared + 0.1 * RNG.standard_normal((250, 1)), RNG.standard_normal((250, 1))])
    weights = weigh({"A": 0.005, "B": 0.005, "C": 0.005}, returns=returns, risk_aversion=20)
    assert weights["C"] > 1.3 * weights["A"]


def test_same_input_gives_the_same_weights() -> None:
    returns = RNG.standard_normal((126, 5)) * 0.01
    means = dict(zip("ABCDE", RNG.normal(0, 0.01, 5).tolist(), strict=True))
    assert weigh(means, returns=returns) == weigh(means, returns=returns.copy())


def test_equal_weight_is_one_over_n_within_limits() -> None:
    means = {"A": 0.1, "B": -0.1, "C": 0.0}
    assert weigh(means, method="equal_weight") == dict.fromkeys(means, 0.333333)
    assert weigh(means, method="equal_weight", max_weight=0.2) == dict.fromkeys(means, 0.2)


def test_top_k_holds_the_highest_means_and_breaks_ties_by_name() -> None:
    means = {"C": 0.1, "B": 0.1, "A": 0.2, "D": -0.1}
    assert weigh(means, method="top_k", top_k=2) == {"A": 0.5, "B": 0.5, "C": 0.0, "D": 0.0}


def test_no_forecasts_give_no_weights() -> None:
    assert weigh({}) == {}


@pytest.mark.parametrize("wrong", [forecast("A", float("nan")), forecast("A", 0.1, 0.0), forecast("A", 0.1, np.inf)])
def test_unsound_forecast_is_refused(wrong: Forecast) -> None:
    with pytest.raises(DataUnfit, match="A has forecast"):
        target_weights(
            Sizing(),
            forecasts=[wrong],
            signals={"A": Signal.BUY},
            returns=uncorrelated(1),
            current={},
            horizon_bars=5,
        )


def test_unsound_current_weight_is_refused() -> None:
    with pytest.raises(DataUnfit, match="A has the weight nan"):
        weigh({"A": 0.1}, {"A": float("nan")})


@pytest.mark.parametrize(
    ("returns", "why"), [(np.full((30, 1), np.nan), "A are not all finite"), (np.zeros((5, 1)), "20 bars are needed")]
)
def test_unsound_returns_are_refused(returns: np.ndarray, why: str) -> None:
    with pytest.raises(DataUnfit, match=why):
        weigh({"A": 0.1}, returns=returns)


def test_solver_that_gives_up_is_data_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_ITERATIONS", 1)
    with pytest.raises(DataUnfit, match="did not converge"):
        weigh({"A": 0.1, "B": 0.2})


def test_weight_that_stays_at_its_current_value_converges() -> None:
    """Trading costs make the current weight the optimum, where the objective has a kink."""
    base, std = np.array([[1.0, 0.30628275, 0.27849548], [0, 1, 0.27238703], [0, 0, 1]]), [0.25, 0.25, 0.20826306]
    roots = np.linalg.cholesky(base + np.triu(base, 1).T).T
    found = mean_variance(
        np.array([0.0, 0.0, 0.5]),
        FactorCovariance(np.zeros(3), roots).scaled(np.array(std)),
        current=np.array([0.0, 0.0, 0.25]),
        limits=bounds(Sizing(max_weight=1.0), [Signal.BUY] * 3, np.zeros(3), 2.0),
        risk_aversion=46.0,
        turnover_cost=0.01,
    )
    assert found == pytest.approx([0.0, 0.0, 0.25], abs=1e-6)


def test_a_weight_moves_along_segments_cut_at_its_current_value() -> None:
    ways = Segments.of(np.zeros(2), np.array([-0.5, 0.0]), np.array([0.5, 0.4]), np.array([0.2, 0.9]))
    told = list(zip(ways.name, ways.direction, ways.length.round(9), ways.toward, strict=True))
    assert told == [(0, 1, 0.2, -1), (1, 1, 0.4, -1), (0, 1, 0.3, 1), (0, -1, 0.5, 1)]
    assert ways.moved(2, np.array([0.2, 0.1, 0.05, 0.0])) == pytest.approx([0.25, 0.1])


def test_correlation_shrinks_toward_zero_and_a_flat_series_correlates_with_nothing() -> None:
    shared = RNG.standard_normal(60)
    returns = 0.01 * np.column_stack([shared, shared + 0.5 * RNG.standard_normal(60), np.zeros(60)])
    told, raw = shrunk_correlation(returns, "ABC"), np.corrcoef(returns[:, :2].T)[0, 1]
    shrunk = told.block(np.arange(3))
    assert np.diag(shrunk) == pytest.approx(np.ones(3), abs=1e-14)
    assert told.variances() == pytest.approx(np.ones(3), abs=1e-14)
    assert 0 < shrunk[0, 1] < raw
    assert np.array_equal(shrunk[2], [0, 0, 1])
    assert np.linalg.eigvalsh(shrunk).min() > 0


@pytest.mark.parametrize("n", [2, 30, 90])
def test_correlation_is_that_of_scikit_learn(n: int) -> None:
    """Fewer columns than bars, and more; and products agree with the matrix."""
    from sklearn.covariance import ledoit_wolf

    returns = 0.01 * (RNG.standard_normal((60, n)) + RNG.standard_normal((60, 1)))
    scaled = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    covariance, weight = ledoit_wolf(scaled, assume_centered=True)
    told = shrunk_correlation(returns, [str(i) for i in range(n)])
    assert shrinkage(scaled) == pytest.approx(weight, abs=1e-12)
    assert told.block(np.arange(n)) == pytest.approx(covariance, abs=1e-12)
    weights = RNG.standard_normal(n)
    assert told.times(weights) == pytest.approx(covariance @ weights, abs=1e-10)
    assert told.block(np.array([1, 0, 1])) == pytest.approx(covariance[np.ix_([1, 0, 1], [1, 0, 1])], abs=1e-12)


def test_weights_do_not_depend_on_the_process_or_its_threads() -> None:
    """The same bits from a process with another hash seed and another number of threads."""
    code = f"import runpy; print(runpy.run_path({__file__!r})['many_weights']())"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert other.stdout.strip() == str(many_weights())


def many_weights() -> dict[str, float]:
    rng = np.random.default_rng(3)
    means = {f"S{i:03d}": float(m) for i, m in enumerate(rng.normal(0, 0.01, 200))}
    current = {f"S{i:03d}": 0.02 for i in range(0, 200, 9)}
    returns = 0.01 * (rng.standard_normal((126, 200)) + rng.standard_normal((126, 1)))
    return weigh(means, current, returns=returns, max_weight=0.05, turnover_penalty_bps=10.0, long_only=False)


def test_rounding_gives_back_what_is_over_the_gross_limit() -> None:
    third = np.full(3, 1 / 3 + 4e-7)
    limits = bounds(Sizing(max_weight=1.0), [Signal.BUY] * 3, np.zeros(3), 1.0)
    cleaned = clean(third, limits)
    assert np.rint(cleaned * 1e6).sum() <= 1_000_000
    assert clean(np.array([5e-5, 0.5, 0.0]), limits).tolist() == [0.0, 0.5, 0.0]
