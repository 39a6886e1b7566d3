"""The band around a recovered coefficient, on series whose mean is known."""

import numpy as np
import pytest
from scipy import stats

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.recovery import degrees_of_freedom, recovery, shuffled
from alphamill.evaluation.statistics import newey_west_error


def overlapping(mean: float, *, days: int, horizon: int, seed: int) -> np.ndarray:
    shocks = np.random.default_rng(seed).standard_normal(days + horizon - 1)
    return mean + np.convolve(shocks, np.ones(horizon), "valid") / np.sqrt(horizon)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_band_holds_the_true_mean_about_as_often_as_it_says(horizon: int) -> None:
    bands = [
        recovery("IC", 0.3, [overlapping(0.3, days=450, horizon=horizon, seed=s)], horizon_bars=horizon)
        for s in range(300)
    ]
    # 95 % is said; 300 runs scatter by 1.3 points, and a window of finite width costs some.
    assert 0.90 < np.mean([band.holds for band in bands]) < 0.985


def test_runs_are_averaged_and_their_errors_add_in_squares() -> None:
    runs = [overlapping(m, days=500, horizon=1, seed=s) for s, m in enumerate((0.1, 0.4))]
    errors = [newey_west_error(run, horizon_bars=1) for run in runs]
    found = recovery("IC", 0.0, runs, horizon_bars=1)
    assert found.recovered == pytest.approx((runs[0].mean() + runs[1].mean()) / 2)
    error = np.hypot(*errors) / 2
    assert found.t == pytest.approx(found.recovered / error)
    freedom = 2 * degrees_of_freedom(500, 1)
    assert found.high - found.low == pytest.approx(2 * stats.t.ppf(0.975, freedom) * error)
    assert (found.runs, found.days) == (2, 1000)


def test_bands_that_are_judged_together_are_wider() -> None:
    run = [overlapping(0.0, days=500, horizon=1, seed=1)]
    alone, together = (recovery("IC", 0.0, run, horizon_bars=1, rows=rows) for rows in (1, 8))
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_a_miss_says_on_which_side() -> None:
    run = [overlapping(0.5, days=500, horizon=1, seed=1)]
    verdicts = [recovery("IC", known, run, horizon_bars=1).verdict for known in (0.0, 0.5, 1.0)]
    assert verdicts == ["leak", "in the band", "signal lost"]


def test_degrees_of_freedom_follow_the_window() -> None:
    # 450 days: ceil(1.3 sqrt(450)) = 28 lags.
    assert degrees_of_freedom(450, 5) == pytest.approx(1.5 * 450 / 29)


def test_chance_allows_a_few_large_t_values_and_no_more() -> None:
    quiet = shuffled([0.1] * 17 + [2.5, -2.5, 2.1], days=250, horizon_bars=5)
    loud = shuffled([0.1] * 11 + [2.5] * 9, days=250, horizon_bars=5)
    assert (quiet.beyond, quiet.holds) == (3, True)
    assert (loud.beyond, loud.holds) == (9, False)
    rate = 2 * stats.t.sf(2, degrees_of_freedom(250, 5))
    assert stats.binom.sf(quiet.allowed, 20, rate) < 0.001 <= stats.binom.sf(quiet.allowed - 1, 20, rate)


def test_nothing_to_judge_is_refused() -> None:
    with pytest.raises(DataUnfit, match="no spread"):
        recovery("IC", 0.0, [np.ones(10)], horizon_bars=1)
    with pytest.raises(InvalidInput, match="0 runs"):
        recovery("IC", 0.0, [], horizon_bars=1)
