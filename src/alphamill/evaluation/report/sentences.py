"""The verdict in plain words, made from the numbers alone."""

from collections.abc import Mapping

import polars as pl

from alphamill.evaluation.baselines import EQUAL_WEIGHT, LINEAR
from alphamill.evaluation.bootstrap import Interval, bootstrap_difference
from alphamill.evaluation.performance import Performance, periodic_returns
from alphamill.evaluation.summary import MODEL, EvaluationSummary
from alphamill.evaluation.summary_table import number, percent

_SEED = 20_130_301


def benchmark(summary: EvaluationSummary) -> tuple[str, Performance] | None:
    """The baseline the verdict is about: the best one by Sharpe ratio, else equal weight, else none."""
    best = summary.best_baseline()
    if best is None and EQUAL_WEIGHT in summary.baselines:
        return EQUAL_WEIGHT, summary.baselines[EQUAL_WEIGHT]
    return best


def sharpe_difference(model: pl.DataFrame, other: pl.DataFrame, *, periods_per_year: int) -> Interval | None:
    """Yearly Sharpe ratio of `model` minus `other`, 95 % block-bootstrap interval; None below 30 common returns.

    Blocks are 21 periods, about a month.
    """
    both = periodic_returns(model).join(periodic_returns(other), on="at", suffix="_other").sort("at")
    if both.height < 30:
        return None
    first, second = both["return"].to_numpy(), both["return_other"].to_numpy()
    daily = bootstrap_difference(first, second, statistic="sharpe", block_bars=21, seed=_SEED)
    annual = periods_per_year**0.5
    return Interval(daily.estimate * annual, daily.low * annual, daily.high * annual, daily.confidence)


def headline(summary: EvaluationSummary, navs: Mapping[str, pl.DataFrame] | None = None) -> str:
    """One sentence: does the model beat its best baseline after costs? With `navs`: by more than chance?"""
    bar, own = benchmark(summary), summary.performance.sharpe
    if bar is None:
        return "The model was held against no baseline."
    name, other = bar
    if own is None or other.sharpe is None:
        return f"The model and {_called(name)} cannot be compared: a Sharpe ratio is undefined."
    if own <= other.sharpe:
        return f"The model does not beat {_called(name)} after costs."
    gap = _gap(summary, navs or {})
    if gap is not None and not gap.excludes_zero:
        return f"The model does not clearly beat {_called(name)} after costs: chance alone can explain the difference."
    return f"The model beats {_called(name)} after costs."


def _called(name: str) -> str:
    return "the linear model" if name == LINEAR else name


def _gap(summary: EvaluationSummary, navs: Mapping[str, pl.DataFrame]) -> Interval | None:
    bar = benchmark(summary)
    if bar is None or MODEL not in navs or bar[0] not in navs:
        return None
    return sharpe_difference(navs[MODEL], navs[bar[0]], periods_per_year=summary.performance.periods_per_year)


def _earned(summary: EvaluationSummary) -> str:
    own = summary.performance
    text = (
        f"Over {own.periods:,} sessions from {own.first_at:%Y-%m-%d} to {own.last_at:%Y-%m-%d} it made "
        f"{percent(own.cagr)} a year at a Sharpe ratio of {number(own.sharpe)}, costs included"
    )
    bar = benchmark(summary)
    if bar is None:
        return f"{text}."
    return f"{text}; {_called(bar[0])} made {percent(bar[1].cagr)} at {number(bar[1].sharpe)}."


def _certainty(summary: EvaluationSummary, navs: Mapping[str, pl.DataFrame]) -> str:
    gap = _gap(summary, navs)
    if gap is None:
        return ""
    judged = "more than chance explains" if gap.excludes_zero else "chance alone can explain it"
    return (
        f"The difference in Sharpe ratio is {gap.estimate:+.2f}, with a 95 % interval from {gap.low:+.2f} to "
        f"{gap.high:+.2f}: {judged}."
    )


def _skill(summary: EvaluationSummary) -> str:
    score = summary.forecast.rank_ic
    if score.mean is None or score.t is None:
        return "Its forecasts do not rank the names at all."
    judged = "a ranking that chance does not explain" if score.t > 2 else "not distinguishable from no skill"
    if score.t < -2:
        judged = "a ranking that is reliably wrong"
    return (
        f"Its forecasts rank the {summary.forecast.symbols} names with a mean daily RankIC of {score.mean:+.3f} "
        f"(t {score.t:+.1f} over {score.days:,} days): {judged}."
    )


def _luck(summary: EvaluationSummary) -> str:
    if summary.deflated_sharpe is None:
        return ""
    tried = "1 configuration" if summary.trials == 1 else f"{summary.trials} configurations"
    enough = "enough" if summary.deflated_sharpe > 0.95 else "not enough"
    return (
        f"After {tried} tried, the chance that its true Sharpe ratio is above what luck would show is "
        f"{percent(summary.deflated_sharpe, digits=0)}: {enough} (95 % is the usual bar)."
    )


def verdict_paragraph(summary: EvaluationSummary, navs: Mapping[str, pl.DataFrame]) -> str:
    """What a person should take from the evaluation, without the headline.

    Parameters
    ----------
    navs
        Equity curves (at, nav_usd) by name; with those of the model and its best baseline the
        difference gets an interval.
    """
    parts = (_earned(summary), _certainty(summary, navs), _skill(summary), _luck(summary))
    return " ".join(part for part in parts if part)


def standing_caveats(names: int) -> tuple[str, ...]:
    """What limits every number of the report."""
    return (
        f"The {names} names are survivors: they were picked knowing that they still exist and did well. No profit "
        "on them, of the model or of a baseline, says anything about profit on names picked today.",
        f"A daily RankIC of {names} names takes few values and scatters widely; only its mean over many days counts.",
        "The number of trials counts this run's search. Ideas tried and dropped before are trials too, and nobody "
        "counted them.",
        "Fills are simulated at the next open with fixed slippage and commission; market impact, borrowing, taxes and "
        "the loss of a name that is delisted are not.",
    )
