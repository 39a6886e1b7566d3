import datetime as dt
import math
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from scipy import stats

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.performance import drawdown_curve, performance, periodic_returns

START = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)


def curve(*values: float) -> pl.DataFrame:
    return pl.DataFrame({"at": [START + dt.timedelta(days=i) for i in range(len(values))], "nav_usd": values})


def test_drawdown_and_its_dates_by_hand() -> None:
    result = performance(curve(100.0, 120.0, 90.0, 110.0, 60.0, 130.0))
    assert result.max_drawdown == pytest.approx(0.5)
    assert result.drawdown_from == START + dt.timedelta(days=1)
    assert result.drawdown_until == START + dt.timedelta(days=4)
    drawdown = drawdown_curve(curve(100.0, 120.0, 90.0))["drawdown"].to_list()
    assert drawdown == pytest.approx([0.0, 0.0, -0.25])


def test_a_curve_with_a_known_mean_and_spread_has_that_sharpe(make_nav) -> None:  # type: ignore[no-untyped-def]
    result = performance(make_nav(0.001, daily_std=0.01))
    assert result.sharpe == pytest.approx(0.1 * math.sqrt(252))
    assert result.sharpe_per_period == pytest.approx(0.1)
    assert result.volatility == pytest.approx(0.01 * math.sqrt(252))
    assert result.periods == 1000


def test_moments_equal_scipy(make_nav) -> None:  # type: ignore[no-untyped-def]
    nav = make_nav(0.0005)
    returns = periodic_returns(nav)["return"].to_numpy()
    result = performance(nav)
    assert result.skew == pytest.approx(stats.skew(returns))
    assert result.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))


def test_steady_growth_by_closed_form() -> None:
    result = performance(curve(*(100.0 * 1.01**i for i in range(13))), periods_per_year=12)
    assert result.cagr == pytest.approx(1.01**12 - 1)
    assert result.total_return == pytest.approx(1.01**12 - 1)
    assert (result.sharpe, result.sortino, result.calmar, result.skew) == (None, None, None, None)
    assert (result.volatility, result.max_drawdown, result.drawdown_from, result.hit_rate) == (0.0, 0.0, None, 1.0)


def test_sortino_and_calmar_by_hand() -> None:
    result = performance(curve(100.0, 110.0, 99.0), periods_per_year=2)
    assert result.total_return == pytest.approx(-0.01)
    assert result.sortino == pytest.approx(0.0, abs=1e-9)
    assert result.calmar == pytest.approx(-0.01 / 0.1)
    assert result.hit_rate == 0.5


def after(*returns: float) -> pl.DataFrame:
    return curve(*(100.0 * np.cumprod([1.0, *(1.0 + r for r in returns)])))


def test_alternating_returns_have_the_sharpe_skew_and_kurtosis_of_the_closed_form() -> None:
    result = performance(after(*[0.03, -0.01] * 20), periods_per_year=12)
    assert result.sharpe == pytest.approx(0.02 / 0.04 * math.sqrt(39 / 40) * math.sqrt(12))
    assert result.skew == pytest.approx(0.0, abs=1e-9)
    assert result.kurtosis == pytest.approx(1.0)


def test_sortino_matches_rollinger_and_hoffman_2013() -> None:
    result = performance(after(0.17, 0.15, 0.23, -0.05, 0.12, 0.09, 0.13, -0.04), periods_per_year=1)
    assert result.sortino == pytest.approx(4.417, abs=5e-4)


def test_drawdown_matches_the_example_of_investopedia() -> None:
    result = performance(curve(500_000.0, 750_000.0, 400_000.0, 600_000.0, 350_000.0, 800_000.0))
    assert result.max_drawdown == pytest.approx(0.5333, abs=5e-5)


def test_a_portfolio_sold_and_bought_anew_once_a_year_has_turnover_two() -> None:
    result = performance(curve(*[100.0] * 253), traded_usd=200.0)
    assert result.turnover_per_year == pytest.approx(2.0)


def test_turnover_is_traded_notional_over_mean_nav_per_year() -> None:
    result = performance(curve(100.0, 100.0, 100.0), periods_per_year=4, traded_usd=50.0, commission_usd=0.5)
    assert result.turnover_per_year == pytest.approx(1.0)
    assert result.commission_usd == 0.5
    assert performance(curve(100.0, 101.0)).turnover_per_year is None


def test_decimal_nav_and_any_order_of_rows_give_the_same() -> None:
    plain = curve(100.0, 90.0, 95.0)
    money = plain.with_columns(nav_usd=pl.Series([Decimal(100), Decimal(90), Decimal(95)]))
    assert performance(money.reverse()) == performance(plain)


def test_doubling_money_changes_no_ratio(make_nav) -> None:  # type: ignore[no-untyped-def]
    nav = make_nav(0.0004)
    one, two = performance(nav), performance(nav.with_columns(pl.col("nav_usd") * 2))
    assert two.sharpe == pytest.approx(one.sharpe)
    assert two.max_drawdown == pytest.approx(one.max_drawdown)
    assert two.final_nav_usd == pytest.approx(2 * one.final_nav_usd)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -5.0, None])
def test_a_nav_that_is_not_a_positive_number_is_refused(bad: float | None) -> None:
    with pytest.raises(DataUnfit) as caught:
        performance(curve(100.0, bad, 101.0))  # type: ignore[arg-type]
    assert caught.value.field == "nav_usd"


def test_one_point_or_a_time_twice_is_refused() -> None:
    with pytest.raises(DataUnfit, match="one point"):
        performance(curve(100.0))
    twice = pl.concat([curve(100.0, 101.0), curve(100.0)])
    with pytest.raises(DataUnfit, match="twice"):
        performance(twice)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"traded_usd": -1.0}, "traded_usd"),
        ({"commission_usd": math.nan}, "commission_usd"),
        ({"periods_per_year": 0}, "periods_per_year"),
    ],
)
def test_impossible_arguments_are_named(more: dict[str, float], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        performance(curve(100.0, 101.0), **more)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_returns_compound_back_to_the_curve(make_nav) -> None:  # type: ignore[no-untyped-def]
    nav = make_nav(0.0003, days=100)
    rebuilt = 100_000.0 * np.cumprod(1.0 + periodic_returns(nav)["return"].to_numpy())
    assert rebuilt == pytest.approx(nav["nav_usd"].to_numpy()[1:])
