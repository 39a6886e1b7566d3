"""The closed forms behind proof 6, against simulation and against the product's own feature."""

import numpy as np
import pytest

from alphamill.errors import InvalidInput
from alphamill.features import compute
from alphamill.proofs.known_ic import daily_ic, daily_rank_ic, learned_ic, zscore_share
from alphamill.proofs.synthetic_market import market_with_signal


def pairs(ic: float, days: int, names: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    left, other = rng.standard_normal((2, days, names))
    return left, ic * left + np.sqrt(1.0 - ic**2) * other


def correlation_of_rows(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    a, b = left - left.mean(axis=1, keepdims=True), right - right.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))


def test_the_shipped_zscore_keeps_the_stated_share_of_the_signal() -> None:
    assert zscore_share(21) == pytest.approx(0.9638, abs=5e-5)
    market = market_with_signal(60, 1_000, seed=1)
    rows = compute(market.bars, ["volume_zscore_21"]).join(market.signal, on=["symbol", "ts"]).drop_nulls()
    measured = np.corrcoef(rows["volume_zscore_21"], rows["signal"])[0, 1]
    assert measured == pytest.approx(zscore_share(21), abs=1e-3)


def test_two_values_keep_the_sign_only() -> None:
    # z is then +1 or -1, and E[S] = E|s1 - s2| / 2 = 1 / sqrt(pi).
    assert zscore_share(2) == pytest.approx(1.0 / np.sqrt(np.pi))


@pytest.mark.parametrize(("ic", "names"), [(0.0, 5), (0.5, 5), (-0.3, 10), (0.1, 60)])
def test_daily_coefficients_have_the_stated_expectation(ic: float, names: int) -> None:
    left, right = pairs(ic, 20_000, names)
    ranks = [values.argsort(axis=1).argsort(axis=1).astype(float) for values in (left, right)]
    allowed = 4.0 / np.sqrt(20_000 * (names - 1))
    assert correlation_of_rows(left, right).mean() == pytest.approx(daily_ic(ic, names), abs=allowed)
    assert correlation_of_rows(*ranks).mean() == pytest.approx(daily_rank_ic(ic, names), abs=allowed)


def test_least_squares_on_few_rows_costs_as_much_as_stated() -> None:
    rng, ic, features, rows = np.random.default_rng(2), 0.1, 4, 500
    beta = np.array([ic, 0.0, 0.0, 0.0])
    got = []
    for _ in range(2_000):
        x = rng.standard_normal((rows, features))
        y = x @ beta + np.sqrt(1 - ic**2) * rng.standard_normal(rows)
        weights = np.linalg.lstsq(x, y, rcond=None)[0]
        # The population correlation of this very forecast, no new rows needed.
        got.append(weights @ beta / np.sqrt(weights @ weights))
    assert np.mean(got) == pytest.approx(learned_ic(ic, features, rows), rel=0.02)
    assert learned_ic(-0.1, 1, 10**9) == pytest.approx(-0.1)
    assert learned_ic(0.0, 1, 100) == 0.0


def test_many_names_come_close_to_the_population() -> None:
    assert daily_ic(0.3, 100_000) == pytest.approx(0.3, rel=1e-5)
    assert daily_rank_ic(0.3, 100_000) == pytest.approx(6 / np.pi * np.arcsin(0.15), rel=1e-4)


def test_what_has_no_answer_is_refused() -> None:
    for call, field in (
        (lambda: zscore_share(1), "bars"),
        (lambda: learned_ic(0.1, 5, 5), "rows"),
        (lambda: daily_ic(1.0, 10), "ic"),
        (lambda: daily_rank_ic(0.1, 2), "names"),
    ):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.field == field
