import math

import numpy as np
import pytest

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.bootstrap import bootstrap_difference


def test_interval_of_a_mean_matches_the_normal_one_for_independent_returns() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 1.0, 2000), rng.normal(0.0, 1.0, 2000)
    interval = bootstrap_difference(first, second, statistic="mean", block_bars=1, samples=4000, seed=1)
    half = 1.96 * (first - second).std() / math.sqrt(2000)
    assert interval.estimate == pytest.approx(first.mean() - second.mean())
    assert interval.low == pytest.approx(interval.estimate - half, abs=0.1 * half)
    assert interval.high == pytest.approx(interval.estimate + half, abs=0.1 * half)


def test_blocks_widen_the_interval_of_dependent_returns() -> None:
    values = np.convolve(np.random.default_rng(2).standard_normal(2009), np.ones(10), "valid")
    zeros = np.zeros_like(values)
    single = bootstrap_difference(values, zeros, statistic="mean", block_bars=1, seed=1)
    blocks = bootstrap_difference(values, zeros, statistic="mean", block_bars=50, seed=1)
    assert blocks.high - blocks.low > 2.0 * (single.high - single.low)


def test_shared_shocks_cancel() -> None:
    market = np.random.default_rng(3).normal(0.0, 1.0, 1000)
    interval = bootstrap_difference(market + 0.01, market, statistic="mean", seed=1)
    assert interval.low == pytest.approx(0.01)
    assert interval.excludes_zero


def test_sharpe_difference_of_equal_series_is_zero() -> None:
    values = np.random.default_rng(4).normal(0.0, 1.0, 200)
    interval = bootstrap_difference(values, values, seed=1)
    assert (interval.estimate, interval.low, interval.high) == (0.0, 0.0, 0.0)
    assert not interval.excludes_zero


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=300), rng.normal(size=300)
    same = [bootstrap_difference(first, second, seed=9) for _ in range(2)]
    assert same[0] == same[1]
    assert bootstrap_difference(first, second, seed=10) != same[0]


def test_a_series_without_returns_has_sharpe_zero() -> None:
    values = np.random.default_rng(6).normal(0.5, 1.0, 100)
    assert bootstrap_difference(values, np.zeros(100), seed=1).estimate == pytest.approx(
        values.mean() / values.std(ddof=1)
    )


@pytest.mark.parametrize(
    ("first", "second", "more", "error"),
    [
        (np.zeros(5), np.zeros(5), {}, DataUnfit),
        (np.zeros(50), np.zeros(49), {}, InvalidInput),
        (np.full(50, np.nan), np.zeros(50), {}, DataUnfit),
        (np.zeros(50), np.zeros(50), {"confidence": 1.5}, InvalidInput),
        (np.zeros(50), np.zeros(50), {"block_bars": -3}, InvalidInput),
    ],
)
def test_unusable_series_are_refused(first, second, more, error: type[Exception]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error):
        bootstrap_difference(first, second, seed=1, **more)
