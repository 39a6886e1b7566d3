"""Every statistic says in its docstring which worked example or closed form it is held against."""

import re

import pytest

from alphamill.evaluation import calibration, forecast_metrics, overfitting, performance, statistics

NAMED = (
    forecast_metrics.forecast_metrics,
    forecast_metrics.SeriesScore,
    performance.Performance,
    calibration.Calibration,
    overfitting.backtest_overfitting,
    statistics.newey_west_error,
    statistics.sharpe_variance,
    statistics.probabilistic_sharpe,
    statistics.expected_maximum_sharpe,
    statistics.deflated_sharpe,
    statistics.minimum_track_record,
)


@pytest.mark.parametrize("measure", NAMED, ids=lambda each: each.__name__)
def test_a_statistic_names_what_it_is_tested_against(measure: object) -> None:
    assert re.search(r"[Ww]orked example|[Cc]losed form", measure.__doc__ or "")
