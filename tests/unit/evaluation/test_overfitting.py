import math
from itertools import combinations

import numpy as np
import pytest

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.overfitting import backtest_overfitting


def test_one_truly_better_configuration_has_probability_zero() -> None:
    returns = np.random.default_rng(0).normal(0.0, 0.01, (800, 8))
    returns[:, 3] += 0.01
    result = backtest_overfitting(returns, blocks=10)
    assert result.probability == 0.0
    assert result.splits == 252
    assert result.median_rank == pytest.approx(8 / 9)


def test_noise_gives_about_one_half() -> None:
    rng = np.random.default_rng(1)
    values = [backtest_overfitting(rng.normal(0.0, 0.01, (400, 10)), blocks=8).probability for _ in range(60)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.1)


def test_configurations_that_swap_places_are_always_overfitted() -> None:
    # A wins in the first block exactly as much as it loses in the second; B is its mirror. Both splits pick a loser.
    swing = np.array([0.01, 0.02, 0.01, 0.02, -0.01, -0.02, -0.01, -0.02])
    result = backtest_overfitting(np.column_stack([swing, -swing]), blocks=2)
    assert (result.probability, result.splits) == (1.0, 2)


def test_a_configuration_that_never_trades_counts_as_zero() -> None:
    losing = np.random.default_rng(2).normal(-0.01, 0.005, (100, 1))
    result = backtest_overfitting(np.hstack([losing, np.zeros((100, 1))]), blocks=4)
    assert result.probability == 0.0


def test_it_equals_the_definition_followed_step_by_step() -> None:
    returns = np.random.default_rng(7).normal(0.0, 0.01, (36, 5))
    blocks = np.split(returns, 6)
    below, ranks = 0, []
    for chosen in combinations(range(6), 3):
        inside = np.concatenate([blocks[i] for i in chosen])
        outside = np.concatenate([blocks[i] for i in range(6) if i not in chosen])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0)))
        after = outside.mean(axis=0) / outside.std(axis=0)
        rank = (np.sum(after < after[best]) + 1) / 6
        below += math.log(rank / (1 - rank)) <= 0
        ranks.append(rank)
    result = backtest_overfitting(returns, blocks=6)
    assert (result.splits, result.probability) == (20, below / 20)
    assert result.median_rank == pytest.approx(np.median(ranks))


def test_sixteen_blocks_have_12870_splits() -> None:
    assert backtest_overfitting(np.random.default_rng(8).normal(size=(32, 2))).splits == 12_870


@pytest.mark.parametrize(
    ("shape", "blocks", "error"),
    [((100, 1), 4, InvalidInput), ((100, 3), 5, InvalidInput), ((100, 3), 40, InvalidInput), ((10, 3), 8, DataUnfit)],
)
def test_too_little_to_split_is_refused(shape: tuple[int, int], blocks: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        backtest_overfitting(np.zeros(shape), blocks=blocks)


def test_returns_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataUnfit, match="not finite"):
        backtest_overfitting(np.full((100, 3), np.inf), blocks=4)
