from typing import Any

import polars as pl
import pytest

from alphamill.errors import InvalidInput
from alphamill.evaluation import EvaluationSummary
from alphamill.evaluation.performance import performance
from alphamill.evaluation.statistics import deflated_sharpe


def test_a_summary_survives_json(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.05, days=50)
    summary = make_summary(panel, baseline_panels={"linear": panel})
    again = EvaluationSummary.model_validate_json(summary.model_dump_json())
    assert again == summary
    assert again.baseline_forecasts["linear"] == summary.forecast


def test_deflated_sharpe_uses_the_number_of_trials(make_panel: Any, make_summary: Any) -> None:
    summary = make_summary(make_panel(0.05, days=50), sharpe=1.0, trials=37)
    earned = summary.performance
    assert summary.deflated_sharpe == deflated_sharpe(
        earned.sharpe_per_period, trials=37, observations=1000, skew=earned.skew, kurtosis=earned.kurtosis
    )
    assert summary.probabilistic_sharpe > summary.deflated_sharpe


def test_a_flat_curve_has_no_sharpe_and_so_no_worth(make_panel: Any, make_summary: Any, make_nav: Any) -> None:
    flat = performance(make_nav(0.0).with_columns(nav_usd=pl.lit(100.0)))
    summary = make_summary(make_panel(0.05, days=50))
    given = {name: getattr(summary, name) for name in ("model_name", "architecture", "features", "data_version")}
    of_flat = EvaluationSummary.of(
        **given, horizon_bars=1, trials=3, panel=make_panel(0.05, days=50), performance=flat, baselines={"flat": flat}
    )
    assert (of_flat.deflated_sharpe, of_flat.probabilistic_sharpe, of_flat.minimum_track_record) == (None, None, None)
    assert of_flat.best_baseline() is None
    assert "sharpe" not in of_flat.metrics()


def test_best_baseline_is_the_one_with_the_highest_sharpe(make_panel: Any, make_summary: Any) -> None:
    best = make_summary(make_panel(0.05, days=50)).best_baseline()
    assert best is not None
    assert best[0] == "equal weight"


def test_metrics_are_flat_finite_numbers(make_panel: Any, make_summary: Any) -> None:
    metrics = make_summary(make_panel(0.05, days=50)).metrics()
    assert {"rank_ic", "rank_ic_t", "sharpe", "coverage_80", "nll", "deflated_sharpe"} <= metrics.keys()
    assert all(isinstance(value, float) for value in metrics.values())


def test_trials_must_be_counted(make_panel: Any, make_summary: Any) -> None:
    with pytest.raises(InvalidInput, match="trials"):
        make_summary(make_panel(0.05, days=50), trials=0)
