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


ANSCOMBE_X = [10.0, 8.0, 13.0, 9.0, 11.0, 14.0, 6.0, 4.0, 12.0, 7.0, 5.0]
ANSCOMBE_Y = {
    "I": [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68],
    "II": [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74],
    "III": [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73],
}


@pytest.mark.parametrize("name", ANSCOMBE_Y)
def test_ic_matches_the_quartet_of_anscombe_1973(name: str) -> None:
    metrics = forecast_metrics(small_panel(ANSCOMBE_X, ANSCOMBE_Y[name], names=11), horizon_bars=1)
    assert metrics.ic.mean == pytest.approx(0.816, abs=5e-4)


def test_rank_ic_matches_the_published_example_of_iq_and_television() -> None:
    iq = [106.0, 86.0, 100.0, 101.0, 99.0, 103.0, 97.0, 113.0, 112.0, 110.0]
    hours = [7.0, 0.0, 27.0, 50.0, 28.0, 29.0, 20.0, 12.0, 6.0, 17.0]
    metrics = forecast_metrics(small_panel(iq, hours, names=10), horizon_bars=1)
    assert metrics.rank_ic.mean == pytest.approx(-29 / 165)


def test_icir_follows_the_fundamental_law_of_grinold_1989() -> None:
    rng, names, days, ic = np.random.default_rng(3), 50, 2_000, 0.1
    mean = rng.standard_normal((days, names))
    label = ic * mean + np.sqrt(1 - ic**2) * rng.standard_normal((days, names))
    ts = [dt.datetime(2010, 1, 1, 21, tzinfo=UTC) + dt.timedelta(days=i) for i in range(days) for _ in range(names)]
    panel = pl.DataFrame(
        {"symbol": [f"S{i}" for i in range(names)] * days, "ts": ts, "mean": mean.ravel(), "label": label.ravel()}
    ).with_columns(std=pl.lit(1.0))
    measured = forecast_metrics(panel, horizon_bars=1).ic.ir
    # The standard error of mean / std over n days is close to 1 / sqrt(n).
    assert measured == pytest.approx(ic * math.sqrt(names - 1), abs=3 / math.sqrt(days))


@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.0])
def test_coverage_and_nll_of_a_wrong_spread_follow_the_closed_form(wrong: float) -> None:
    labels = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    panel = small_panel([1e-9] * 20_000, labels.tolist(), names=20_000, std=wrong)
    measured = forecast_metrics(panel, horizon_bars=1).calibration
    for level in measured.coverage:
        promised = stats.norm.ppf(0.5 + level.nominal / 2)
        assert level.observed == pytest.approx(2 * stats.norm.cdf(wrong * promised) - 1, abs=2e-4)
    expected = 0.5 * math.log(2 * math.pi) + math.log(wrong) + 1 / (2 * wrong**2)
    assert measured.nll == pytest.approx(expected, abs=5e-3)


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
