"""How good the forecasts are, before any of them is traded."""

import datetime as dt

import polars as pl

from alphamill.errors import InvalidInput
from alphamill.evaluation.calibration import Calibration, calibration, with_scores
from alphamill.evaluation.panels import checked_panel
from alphamill.evaluation.records import Record
from alphamill.evaluation.statistics import newey_west_t


class SeriesScore(Record):
    """A daily coefficient over time. `ir` is mean / std (ddof 1), per day; `t` is `newey_west_t` over the horizon.

    Closed form: with n names of independent normal forecasts and labels of correlation c, a day's coefficient has
    standard deviation close to 1 / sqrt(n - 1), so `ir` is close to c sqrt(n - 1): Grinold (1989), "The Fundamental Law
    of Active Management".

    `days` counts the days on which it is defined. mean, std, ir and t are None where too few such days exist, or
    (ir, t) where all days are equal.
    """

    days: int
    mean: float | None
    std: float | None
    ir: float | None
    t: float | None


class SignScore(Record):
    """Up or down. Rows whose forecast or label is exactly 0 have no sign and are left out.

    `accuracy` is the share of signs that were right. `precision` is the share of forecast rises that rose, None if no
    rise was forecast; `recall` the share of rises that were forecast, None if nothing rose. `base_rate_up`
    is the share that rose: what "always up" would get for accuracy. None everywhere if `rows` is 0.
    """

    rows: int
    accuracy: float | None
    precision: float | None
    recall: float | None
    base_rate_up: float | None


class DailyScores(Record):
    """Per-day values as columns of equal length, in time order, for paired comparisons.

    `ts` are session closes, UTC. `ic` and `rank_ic` are None where undefined; `nll` is the day's mean.
    """

    ts: tuple[dt.datetime, ...]
    ic: tuple[float | None, ...]
    rank_ic: tuple[float | None, ...]
    nll: tuple[float, ...]


class ForecastMetrics(Record):
    """What `forecast_metrics` measured. `days` counts all days of the panel, `rows` all forecasts."""

    horizon_bars: int
    rows: int
    days: int
    symbols: int
    ic: SeriesScore
    rank_ic: SeriesScore
    pooled_ic: float | None
    pooled_rank_ic: float | None
    sign: SignScore
    calibration: Calibration
    daily: DailyScores


def _correlation(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    # max == min decides what is constant: pl.corr of equal floats may return noise instead of NaN.
    defined = (pl.len() >= 2) & (left.min() < left.max()) & (right.min() < right.max())
    value = pl.corr(left, right)
    return pl.when(defined & value.is_finite()).then(value.clip(-1.0, 1.0))


def _daily(scored: pl.DataFrame) -> pl.DataFrame:
    mean, label = pl.col("mean"), pl.col("label")
    return (
        scored.group_by("ts")
        .agg(
            _correlation(mean, label).alias("ic"),
            _correlation(mean.rank("average"), label.rank("average")).alias("rank_ic"),
            pl.col("nll").mean(),
        )
        .sort("ts")
    )


def _series_score(values: pl.Series, horizon_bars: int) -> SeriesScore:
    defined = values.drop_nulls().to_numpy()
    n = len(defined)
    std = float(defined.std(ddof=1)) if n >= 2 else None
    return SeriesScore(
        days=n,
        mean=float(defined.mean()) if n else None,
        std=std,
        ir=float(defined.mean() / std) if std else None,
        t=newey_west_t(defined, horizon_bars=horizon_bars),
    )


def _sign_score(scored: pl.DataFrame) -> SignScore:
    judged = scored.filter(pl.col("hit").is_not_null())
    said, rose = judged["mean"] > 0, judged["label"] > 0
    rows, right, rises, calls = judged.height, int((said & rose).sum()), int(rose.sum()), int(said.sum())
    return SignScore(
        rows=rows,
        accuracy=float((said == rose).sum()) / rows if rows else None,
        precision=right / calls if calls else None,
        recall=right / rises if rises else None,
        base_rate_up=rises / rows if rows else None,
    )


def forecast_metrics(panel: pl.DataFrame, *, horizon_bars: int) -> ForecastMetrics:
    """Measure out-of-sample forecasts against what happened.

    IC is the Pearson, RankIC the Spearman correlation (average ranks for ties) of `mean` and `label` across the names
    of one day (Grinold and Kahn, "Active Portfolio Management"). Worked examples: Pearson 0.816 for the quartet of
    Anscombe (1973), "Graphs in Statistical Analysis"; Spearman -29/165 for ten people's IQ and hours of television
    (Wikipedia, "Spearman's rank correlation coefficient"). A day with one name, or with equal forecasts
    or equal labels, has none and does not count. The t statistic corrects for overlapping labels: see
    `alphamill.evaluation.statistics.newey_west_t`.

    With n names a day's RankIC under no skill has standard deviation 1 / sqrt(n - 1): 0.5 for five
    names, and only a few values are possible. A single day says nothing and some hundred days little (two standard
    errors of 1,000 independent days are 0.03). The pooled coefficients correlate all rows at once; they see
    the market's common moves too, not only the choice among names.

    Parameters
    ----------
    panel
        Columns symbol, ts, mean, std, label; see `alphamill.evaluation.panels.checked_panel`.
    horizon_bars
        Bars a label spans.

    Raises
    ------
    DataUnfit
        The panel has a null, a value that is not finite, a std <= 0, a key twice, or no rows.
    InvalidInput
        horizon_bars < 1.
    """
    if horizon_bars < 1:
        raise InvalidInput(f"horizon_bars is {horizon_bars}.", field="horizon_bars", remedy="Give 1 or more.")
    scored = with_scores(checked_panel(panel))
    daily = _daily(scored)
    pooled = scored.select(
        _correlation(pl.col("mean"), pl.col("label")).alias("ic"),
        _correlation(pl.col("mean").rank("average"), pl.col("label").rank("average")).alias("rank_ic"),
    ).row(0)
    return ForecastMetrics(
        horizon_bars=horizon_bars,
        rows=scored.height,
        days=daily.height,
        symbols=scored["symbol"].n_unique(),
        ic=_series_score(daily["ic"], horizon_bars),
        rank_ic=_series_score(daily["rank_ic"], horizon_bars),
        pooled_ic=pooled[0],
        pooled_rank_ic=pooled[1],
        sign=_sign_score(scored),
        calibration=calibration(scored),
        daily=DailyScores(**{name: tuple(daily[name].to_list()) for name in ("ts", "ic", "rank_ic", "nll")}),
    )
