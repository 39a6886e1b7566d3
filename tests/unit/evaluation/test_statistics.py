"""Every statistic against a published worked example or a closed form."""

import math

import numpy as np
import pytest

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.statistics import (
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record,
    newey_west_error,
    newey_west_lags,
    newey_west_t,
    probabilistic_sharpe,
    sharpe_variance,
)

DAILY = math.sqrt(250)
TRIALS_STD = math.sqrt(0.5 / 250)


def test_expected_maximum_sharpe_matches_bailey_lopez_de_prado_2014() -> None:
    assert expected_maximum_sharpe(100, trial_sharpe_std=TRIALS_STD) == pytest.approx(0.1132, abs=5e-5)


def test_deflated_sharpe_matches_bailey_lopez_de_prado_2014() -> None:
    value = deflated_sharpe(
        2.5 / DAILY, trials=100, observations=1250, skew=-3, kurtosis=10, trial_sharpe_std=TRIALS_STD
    )
    assert value == pytest.approx(0.9004, abs=5e-5)


def test_deflated_sharpe_of_46_trials_matches_bailey_lopez_de_prado_2014() -> None:
    value = deflated_sharpe(
        2.5 / DAILY, trials=46, observations=1250, skew=-3, kurtosis=10, trial_sharpe_std=TRIALS_STD
    )
    assert value == pytest.approx(0.9505, abs=5e-5)


@pytest.mark.parametrize(("skew", "kurtosis", "published"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
def test_probabilistic_sharpe_matches_bailey_lopez_de_prado_2012(
    skew: float, kurtosis: float, published: float
) -> None:
    value = probabilistic_sharpe(1.59 / math.sqrt(12), observations=24, skew=skew, kurtosis=kurtosis)
    assert value == pytest.approx(published, abs=7e-4)


@pytest.mark.parametrize(("periods", "years"), [(250, 2.73), (52, 2.83), (12, 3.24)])
def test_minimum_track_record_matches_bailey_lopez_de_prado_2012(periods: int, years: float) -> None:
    per_period = math.sqrt(periods)
    value = minimum_track_record(2.0 / per_period, benchmark=1.0 / per_period)
    assert value is not None
    assert value / periods == pytest.approx(years, abs=5e-3)


def test_track_record_of_that_length_gives_just_that_confidence() -> None:
    needed = minimum_track_record(0.1, skew=-0.5, kurtosis=5.0, confidence=0.9)
    assert needed is not None
    below = probabilistic_sharpe(0.1, observations=math.floor(needed), skew=-0.5, kurtosis=5.0)
    above = probabilistic_sharpe(0.1, observations=math.ceil(needed), skew=-0.5, kurtosis=5.0)
    assert below <= 0.9 <= above


def test_no_track_record_is_long_enough_for_a_sharpe_below_the_benchmark() -> None:
    assert minimum_track_record(0.05, benchmark=0.05) is None


def test_expected_maximum_sharpe_agrees_with_simulated_maxima() -> None:
    best = np.random.default_rng(1).standard_normal((20_000, 50)).max(axis=1).mean()
    assert expected_maximum_sharpe(50, trial_sharpe_std=1.0) == pytest.approx(best, rel=0.02)


def test_deflated_sharpe_of_one_trial_is_the_probabilistic_sharpe() -> None:
    assert deflated_sharpe(0.07, trials=1, observations=500) == probabilistic_sharpe(0.07, observations=500)


def test_more_trials_deflate_more() -> None:
    values = [deflated_sharpe(0.07, trials=n, observations=1000) for n in (1, 5, 50, 500)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.3


def test_newey_west_of_three_values_equals_the_formula_by_hand() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert newey_west_lags(3, 1) == 2
    error = math.sqrt(82 / 243)
    assert newey_west_error(values, horizon_bars=1) == pytest.approx(error, rel=1e-12)
    assert newey_west_t(values, horizon_bars=1) == pytest.approx(7.0 / 3.0 / error, rel=1e-12)


def test_the_variance_of_a_sharpe_ratio_of_normal_returns_is_lo_2002() -> None:
    assert sharpe_variance(0.5, observations=101, skew=0.0, kurtosis=3.0) == pytest.approx((1 + 0.125) / 100)
    draws = np.random.default_rng(4).normal(0.5, 1.0, (20_000, 101))
    measured = (draws.mean(axis=1) / draws.std(axis=1, ddof=1)).var()
    assert measured == pytest.approx((1 + 0.125) / 100, rel=0.04)


def test_newey_west_t_of_independent_values_is_close_to_the_plain_t() -> None:
    values = np.random.default_rng(5).normal(0.05, 1.0, 4000)
    plain = values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))
    assert newey_west_t(values, horizon_bars=1) == pytest.approx(plain, rel=0.15)


@pytest.mark.parametrize("horizon", [1, 5, 21])
def test_newey_west_t_rejects_overlapping_noise_about_as_often_as_it_should(horizon: int) -> None:
    rng, rejected, runs = np.random.default_rng(horizon), 0, 400
    for _ in range(runs):
        shocks = rng.standard_normal(1000 + horizon - 1)
        t = newey_west_t(np.convolve(shocks, np.ones(horizon), "valid"), horizon_bars=horizon)
        assert t is not None
        rejected += abs(t) > 2.0
    # 4.6 % is exact for a normal; two standard errors of 400 runs are 2.1 points, and windows cost a little.
    assert 0.01 < rejected / runs < 0.11


def test_the_plain_t_rejects_overlapping_noise_far_too_often() -> None:
    rng, rejected = np.random.default_rng(5), 0
    for _ in range(200):
        values = np.convolve(rng.standard_normal(1004), np.ones(5), "valid")
        rejected += abs(values.mean()) / (values.std(ddof=1) / math.sqrt(1000)) > 2.0
    assert rejected / 200 > 0.25


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [0.3, 0.3, 0.3, 0.3]])
def test_newey_west_t_is_none_where_no_spread_can_be_estimated(values: list[float]) -> None:
    assert newey_west_t(np.array(values), horizon_bars=5) is None


def test_newey_west_t_refuses_values_that_are_not_finite() -> None:
    with pytest.raises(DataUnfit, match="not finite"):
        newey_west_t(np.array([1.0, np.nan, 2.0]), horizon_bars=1)


def test_excess_kurtosis_by_mistake_is_named() -> None:
    with pytest.raises(InvalidInput, match="not the excess"):
        probabilistic_sharpe(3.0, observations=100, skew=2.0, kurtosis=0.0)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: expected_maximum_sharpe(0, trial_sharpe_std=1.0), "trials"),
        (lambda: expected_maximum_sharpe(5, trial_sharpe_std=math.nan), "trial_sharpe_std"),
        (lambda: probabilistic_sharpe(1.0, observations=1), "observations"),
        (lambda: deflated_sharpe(1.0, trials=5, observations=1), "observations"),
        (lambda: minimum_track_record(1.0, confidence=1.0), "confidence"),
    ],
)
def test_impossible_arguments_are_named(call, field: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field
