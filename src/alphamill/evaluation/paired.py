"""Challenger against champion, day by day on the days both forecast."""

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.evaluation.checks import GateCheck
from alphamill.evaluation.forecast_metrics import DailyScores
from alphamill.evaluation.records import Record
from alphamill.evaluation.statistics import newey_west_t
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.evaluation.thresholds import Thresholds


class PairedComparison(Record):
    """Differences on common days, challenger minus champion, signed so that more is better.

    `rank_ic_gain` and `nll_gain` are means (nll_gain = champion's NLL - challenger's); the t values are `newey_west_t`.
    t is None where the differences have no spread, gains are None without a common day.
    """

    days: int
    share_of_days: float
    rank_ic_gain: float | None
    rank_ic_t: float | None
    nll_gain: float | None
    nll_t: float | None


def _frame(daily: DailyScores) -> pl.DataFrame:
    columns = {"ts": daily.ts, "rank_ic": daily.rank_ic, "nll": daily.nll}
    schema = pl.Schema({"ts": pl.Datetime("us", "UTC"), "rank_ic": pl.Float64(), "nll": pl.Float64()})
    return pl.DataFrame(columns, schema=schema).drop_nulls()


def _gain(values: npt.NDArray[np.float64], horizon_bars: int) -> tuple[float | None, float | None]:
    if not len(values) or not np.isfinite(values).all():
        return None, None
    return float(values.mean()), newey_west_t(values, horizon_bars=horizon_bars)


def compare(challenger: EvaluationSummary, champion: EvaluationSummary) -> PairedComparison:
    """Pair the daily RankIC and NLL of two models, in the manner of Diebold and Mariano (1995)."""
    own = _frame(challenger.forecast.daily)
    both = own.join(_frame(champion.forecast.daily), on="ts", suffix="_champion").sort("ts")
    horizon = challenger.horizon_bars
    rank_ic_gain, rank_ic_t = _gain((both["rank_ic"] - both["rank_ic_champion"]).to_numpy(), horizon)
    nll_gain, nll_t = _gain((both["nll_champion"] - both["nll"]).to_numpy(), horizon)
    return PairedComparison(
        days=both.height,
        share_of_days=both.height / own.height if own.height else 0.0,
        rank_ic_gain=rank_ic_gain,
        rank_ic_t=rank_ic_t,
        nll_gain=nll_gain,
        nll_t=nll_t,
    )


def _same_ground(challenger: EvaluationSummary, champion: EvaluationSummary) -> GateCheck:
    same = challenger.data_version == champion.data_version and challenger.horizon_bars == champion.horizon_bars
    sentence = (
        f"Both models were measured on data version {challenger.data_version} at {challenger.horizon_bars} bars."
        if same
        else f"The challenger was measured on data version {challenger.data_version}, {challenger.horizon_bars} bars, "
        f"the champion on {champion.data_version}, {champion.horizon_bars} bars: evaluate the champion again."
    )
    return GateCheck(name="same data as the champion", passed=same, value=None, threshold=None, sentence=sentence)


def _common_days(pair: PairedComparison, limits: Thresholds) -> GateCheck:
    return GateCheck(
        name="days in common",
        passed=pair.days >= limits.min_days and pair.share_of_days >= limits.min_common_days_share,
        value=float(pair.days),
        threshold=float(limits.min_days),
        sentence=f"Challenger and champion share {pair.days} days, "
        f"{pair.share_of_days * 100:.0f} % of the challenger's.",
    )


def _not_worse(name: str, what: str, gain: float | None, t: float | None, limits: Thresholds) -> GateCheck:
    # Without a spread every day has the same difference, so its sign alone decides.
    passed = gain is not None and (gain >= 0.0 if t is None else t > -limits.max_worse_t)
    if gain is None:
        sentence = f"{what} cannot be compared with the champion's."
    else:
        weight = "" if t is None else f" (paired t {t:+.1f})"
        judged = "not significantly worse" if passed else "significantly worse"
        sentence = f"{what} differs from the champion's by {gain:+.4f} a day{weight}, more is better: {judged}."
    return GateCheck(name=name, passed=passed, value=t, threshold=-limits.max_worse_t, sentence=sentence)


def _worse_in_both(pair: PairedComparison) -> GateCheck:
    gains = [gain for gain in (pair.rank_ic_gain, pair.nll_gain) if gain is not None]
    best = max(gains) if gains else None
    passed = best is not None and best >= 0.0
    return GateCheck(
        name="better in one respect",
        passed=passed,
        value=best,
        threshold=0.0,
        sentence="On average it matches or beats the champion in RankIC or in likelihood."
        if passed
        else "On average it is worse than the champion in both RankIC and likelihood.",
    )


def champion_checks(
    challenger: EvaluationSummary, champion: EvaluationSummary, limits: Thresholds
) -> tuple[GateCheck, ...]:
    """What a challenger must pass to take the champion's place."""
    pair = compare(challenger, champion)
    return (
        _same_ground(challenger, champion),
        _common_days(pair, limits),
        _not_worse("RankIC against champion", "RankIC", pair.rank_ic_gain, pair.rank_ic_t, limits),
        _not_worse("likelihood against champion", "Log likelihood", pair.nll_gain, pair.nll_t, limits),
        _worse_in_both(pair),
    )
