import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.calibration import coverage_bands
from alphamill.evaluation.forecast_metrics import ForecastMetrics, forecast_metrics
from alphamill.evaluation.panels import checked_panel

UTC = dt.UTC


def small_panel(means: list[float], labels: list[float], *, names: int, std: float = 1.0) -> pl.DataFrame:
    days = len(means) // names
    ts = [dt.datetime(2020, 1, 1 + day, 21, tzinfo=UTC) for day in range(days) for _ in range(names)]
    return pl.DataFrame(
        {"symbol": [f"S{i}" for i in range(names)] * days, "ts": ts, "mean": means, "std": std, "label": labels},
        schema_overrides={"mean": pl.Float64, "label": pl.Float64, "std": pl.Float64},
    )


def test_daily_coefficients_equal_scipy(make_panel) -> None:  # type: ignore[no-untyped-def]
    panel = make_panel(0.3, days=30)
    metrics = forecast_metrics(panel, horizon_bars=1)
    days = panel.sort("ts", "symbol").partition_by("ts", maintain_order=True)
    ic = [stats.pearsonr(day["mean"], day["label"]).statistic for day in days]
    rank_ic = [stats.spearmanr(day["mean"], day["label"]).statistic for day in days]
    assert metrics.daily.ic == pytest.approx(ic, abs=1e-12)
    assert metrics.daily.rank_ic == pytest.approx(rank_ic, abs=1e-12)
    assert metrics.rank_ic.mean == pytest.approx(np.mean(rank_ic))
    assert metrics.rank_ic.ir == pytest.approx(np.mean(rank_ic) / np.std(rank_ic, ddof=1))
    assert metrics.pooled_ic == pytest.approx(stats.pearsonr(panel["mean"], panel["label"]).statistic)
    assert metrics.pooled_rank_ic == pytest.approx(stats.spearmanr(panel["mean"], panel["label"]).statistic)


def test_ties_get_average_ranks_as_in_scipy() -> None:
    means, labels = [0.1, 0.1, 0.3, 0.2], [0.5, 0.2, 0.2, 0.1]
    metrics = forecast_metrics(small_panel(means, labels, names=4), horizon_bars=1)
    assert metrics.rank_ic.mean == pytest.approx(stats.spearmanr(means, labels).statistic)


@pytest.mark.parametrize("ic", [0.0, 0.05, 0.15])
def test_a_known_ic_is_recovered_within_its_standard_error(make_panel, ic: float) -> None:  # type: ignore[no-untyped-def]
    metrics = forecast_metrics(make_panel(ic, days=4000), horizon_bars=1)
    assert metrics.pooled_ic == pytest.approx(ic, abs=3.0 / math.sqrt(20_000))
    # E[sample correlation of 5 normal pairs] is close to 0.9 of the true one for a small one.
    assert metrics.ic.mean == pytest.approx(0.9 * ic, abs=3.0 * 0.5 / math.sqrt(4000))


def test_no_skill_with_five_names_has_daily_spread_one_half(make_panel) -> None:  # type: ignore[no-untyped-def]
    metrics = forecast_metrics(make_panel(0.0, days=4000), horizon_bars=1)
    assert metrics.rank_ic.std == pytest.approx(0.5, abs=0.02)
    assert metrics.rank_ic.t is not None
    assert abs(metrics.rank_ic.t) < 2.5


def test_sign_scores_by_hand() -> None:
    # Calls: up up down down up; happened: up down down up flat (the last has no sign).
    panel = small_panel([0.1, 0.2, -0.1, -0.3, 0.1], [0.5, -0.5, -0.2, 0.3, 0.0], names=5)
    sign = forecast_metrics(panel, horizon_bars=1).sign
    assert (sign.rows, sign.accuracy, sign.precision, sign.recall, sign.base_rate_up) == (4, 0.5, 0.5, 0.5, 0.5)


def test_precision_is_none_when_no_rise_was_forecast() -> None:
    sign = forecast_metrics(small_panel([-0.1, -0.2], [0.5, -0.5], names=2), horizon_bars=1).sign
    assert (sign.precision, sign.recall, sign.accuracy) == (None, 0.0, 0.5)


def test_recall_is_none_when_nothing_rose() -> None:
    assert forecast_metrics(small_panel([0.1, -0.2], [-0.5, -0.1], names=2), horizon_bars=1).sign.recall is None


def test_zero_forecasts_have_no_sign_scores() -> None:
    metrics = forecast_metrics(small_panel([0.0, 0.0], [0.5, -0.5], names=2), horizon_bars=1)
    assert (metrics.sign.rows, metrics.sign.accuracy, metrics.calibration.brier) == (0, None, None)
    assert metrics.calibration.reliability == ()


def test_constant_forecasts_have_no_ic() -> None:
    # 0.1 five times is where a naive correlation returns rounding noise.
    metrics = forecast_metrics(small_panel([0.1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5], names=5), horizon_bars=1)
    assert (metrics.ic.mean, metrics.rank_ic.mean, metrics.rank_ic.t, metrics.pooled_ic) == (None, None, None, None)
    assert (metrics.days, metrics.rank_ic.days) == (1, 0)


def test_one_name_has_no_daily_ic_but_a_pooled_one() -> None:
    metrics = forecast_metrics(small_panel([0.1, 0.2, 0.3], [0.1, 0.3, 0.2], names=1), horizon_bars=1)
    assert metrics.rank_ic.mean is None
    assert metrics.pooled_rank_ic == pytest.approx(0.5)


def test_undefined_days_are_left_out_and_counted() -> None:
    metrics = forecast_metrics(small_panel([0.1, 0.2, 0.3, 0.3], [0.1, 0.2, 0.1, 0.2], names=2), horizon_bars=1)
    assert metrics.daily.rank_ic == (1.0, None)
    assert (metrics.days, metrics.rank_ic.days, metrics.rank_ic.mean) == (2, 1, 1.0)


def test_nll_and_brier_by_hand() -> None:
    metrics = forecast_metrics(small_panel([1.0, -1.0], [2.0, 1.0], names=2, std=2.0), horizon_bars=1)
    constant = 0.5 * math.log(2 * math.pi) + math.log(2.0)
    assert metrics.calibration.nll == pytest.approx(constant + (0.5 * 0.25 + 0.5 * 1.0) / 2)
    confidence = stats.norm.cdf(0.5)
    assert metrics.calibration.brier == pytest.approx(((confidence - 1) ** 2 + confidence**2) / 2)
    # Both labels rose: "up" for sure is right each time.
    assert metrics.calibration.brier_base_rate == 0.0


def test_the_base_rate_is_that_of_rises_among_judged_rows() -> None:
    panel = small_panel([0.1, 0.2, -0.1, -0.3, 0.1], [0.5, -0.5, -0.2, -0.3, 0.0], names=5)
    assert forecast_metrics(panel, horizon_bars=1).calibration.brier_base_rate == pytest.approx(0.25 * 0.75)


def test_coverage_bands_count_every_horizonth_session(make_panel) -> None:  # type: ignore[no-untyped-def]
    panel = checked_panel(make_panel(0.1, days=1000, horizon=5))
    bands = coverage_bands(panel, horizon_bars=5)
    assert [band.rows for band in bands] == [1000] * 3
    assert all(band.holds for band in bands)
    # A joint 95 % over three levels: 0.025 quantiles of the binomial at about 0.0085 each.
    share = 0.95 ** (1 / 3)
    assert bands[1].low == stats.binom.ppf((1 - share) / 2, 1000, 0.8) / 1000
    narrow = coverage_bands(panel.with_columns(pl.col("std") * 0.8), horizon_bars=5)
    assert not any(band.holds for band in narrow)


def test_true_spreads_are_calibrated(make_panel) -> None:  # type: ignore[no-untyped-def]
    levels = forecast_metrics(make_panel(0.2, days=4000), horizon_bars=1).calibration
    for level in (*levels.coverage, *levels.quantiles):
        assert level.observed == pytest.approx(level.nominal, abs=0.012)
    for bin_ in levels.reliability:
        assert bin_.hit_rate == pytest.approx(bin_.confidence, abs=3 * 0.5 / math.sqrt(bin_.rows))
    assert sum(bin_.rows for bin_ in levels.reliability) == 20_000


def test_too_small_spreads_cover_too_little(make_panel) -> None:  # type: ignore[no-untyped-def]
    coverage = forecast_metrics(make_panel(0.1, spread=0.5), horizon_bars=1).calibration.coverage
    assert coverage[2].observed == pytest.approx(2 * stats.norm.cdf(1.96 / 2) - 1, abs=0.02)


def test_metrics_survive_json(make_panel) -> None:  # type: ignore[no-untyped-def]
    metrics = forecast_metrics(make_panel(0.1, days=20), horizon_bars=1)
    assert ForecastMetrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_order_of_rows_does_not_matter(make_panel) -> None:  # type: ignore[no-untyped-def]
    panel = make_panel(0.1, days=50)
    shuffled = panel.sample(fraction=1.0, shuffle=True, seed=1)
    assert forecast_metrics(shuffled, horizon_bars=1) == forecast_metrics(panel, horizon_bars=1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mean": pl.lit(None, dtype=pl.Float64)}, "mean"),
        ({"label": pl.lit(math.nan)}, "label"),
        ({"std": pl.lit(math.inf)}, "std"),
        ({"std": pl.lit(0.0)}, "std"),
        ({"symbol": pl.lit("AAPL")}, "ts"),
    ],
)
def test_a_bad_panel_is_refused_by_field(make_panel, change: dict[str, pl.Expr], field: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataUnfit) as caught:
        forecast_metrics(make_panel(0.1, days=5).with_columns(**change), horizon_bars=1)
    assert caught.value.field == field


def test_missing_column_and_empty_panel_are_refused(make_panel) -> None:  # type: ignore[no-untyped-def]
    panel = make_panel(0.1, days=5)
    with pytest.raises(DataUnfit, match="label"):
        forecast_metrics(panel.drop("label"), horizon_bars=1)
    with pytest.raises(DataUnfit, match="no rows"):
        forecast_metrics(panel.clear(), horizon_bars=1)


def test_a_horizon_below_one_is_refused(make_panel) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match="horizon_bars"):
        forecast_metrics(make_panel(0.1, days=5), horizon_bars=0)
