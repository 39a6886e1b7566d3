"""The single checks of the gate. Each returns its number, its limit and a sentence a person can read."""

import math
from collections.abc import Iterator
from typing import Any

from alphamill.evaluation.records import Record
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.evaluation.thresholds import Thresholds


class GateCheck(Record):
    """One line of a verdict. `value` is None where the number is undefined, `threshold` where none applies."""

    name: str
    passed: bool
    value: float | None
    threshold: float | None
    sentence: str
    required: bool = True


def _floats(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _floats(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _floats(item, path)


def _finite(summary: EvaluationSummary) -> GateCheck:
    bad = [path for path, value in _floats(summary.model_dump(), "") if not math.isfinite(value)]
    sentence = f"{len(bad)} numbers are not finite, first {bad[0]}." if bad else "Every number is finite."
    return GateCheck(name="finite numbers", passed=not bad, value=float(len(bad)), threshold=0.0, sentence=sentence)


def _enough_days(summary: EvaluationSummary, limits: Thresholds) -> GateCheck:
    days = summary.forecast.rank_ic.days
    passed = days >= limits.min_days
    return GateCheck(
        name="enough days",
        passed=passed,
        value=float(days),
        threshold=float(limits.min_days),
        sentence=f"The forecasts rank the names on {days} days"
        + ("." if passed else f"; {limits.min_days} are needed to judge."),
    )


def _trials(summary: EvaluationSummary) -> GateCheck:
    return GateCheck(
        name="trials known",
        passed=summary.trials >= 1,
        value=float(summary.trials),
        threshold=1.0,
        sentence=f"{summary.trials} configurations were tried, and the Sharpe ratio is deflated by that number.",
    )


def _lookahead(summary: EvaluationSummary) -> GateCheck:
    audit = summary.lookahead
    return GateCheck(
        name="no look-ahead",
        passed=audit is not None and audit.holds,
        value=None if audit is None else float(audit.differing),
        threshold=0.0,
        sentence="Nobody checked whether the model looks ahead." if audit is None else audit.sentence,
    )


def _below(name: str, what: str, value: float | None, limit: float) -> GateCheck:
    if value is None:
        return GateCheck(
            name=name, passed=False, value=None, threshold=limit, sentence=f"{what} is undefined: nothing to judge."
        )
    passed = value <= limit
    judged = "is within reason" if passed else f"is above {limit:.2f}, too good to be true: look for a leak"
    return GateCheck(
        name=name, passed=passed, value=value, threshold=limit, sentence=f"{what} of {value:.3f} {judged}."
    )


def _coverage(summary: EvaluationSummary, limits: Thresholds) -> GateCheck:
    levels = summary.forecast.calibration.coverage
    worst = max(levels, key=lambda level: abs(level.observed - level.nominal))
    gap = abs(worst.observed - worst.nominal)
    passed = gap <= limits.coverage_tolerance
    far = "close enough" if passed else f"more than {limits.coverage_tolerance * 100:.0f} points off"
    return GateCheck(
        name="interval coverage",
        passed=passed,
        value=worst.observed,
        threshold=worst.nominal,
        sentence=f"The {worst.nominal * 100:.0f} % interval, the furthest off, "
        f"held {worst.observed * 100:.1f} % of outcomes: {far}.",
    )


def integrity_checks(summary: EvaluationSummary, limits: Thresholds) -> tuple[GateCheck, ...]:
    """What every model must pass, for paper too."""
    rank_ic, accuracy = summary.forecast.rank_ic.mean, summary.forecast.sign.accuracy
    return (
        _finite(summary),
        _enough_days(summary, limits),
        _trials(summary),
        _lookahead(summary),
        _below("plausible RankIC", "A mean daily RankIC", rank_ic, limits.max_rank_ic),
        _below("plausible accuracy", "A sign accuracy", accuracy, limits.max_accuracy),
        _coverage(summary, limits),
    )


def _above(name: str, what: str, value: float | None, limit: float) -> GateCheck:
    # A NaN compares false and so fails.
    passed = value is not None and value > limit
    said = "is undefined" if value is None else f"is {value:.2f}"
    tail = f", above {limit:.2f}." if passed else f"; more than {limit:.2f} is needed for live money."
    return GateCheck(name=name, passed=passed, value=value, threshold=limit, sentence=f"{what} {said}{tail}")


def _beats_baselines(summary: EvaluationSummary) -> GateCheck:
    best, sharpe = summary.best_baseline(), summary.performance.sharpe
    if best is None or best[1].sharpe is None:
        return GateCheck(
            name="beats the best baseline",
            passed=False,
            value=sharpe,
            threshold=None,
            sentence="No baseline with a Sharpe ratio was run: there is nothing to beat.",
        )
    name, bar = best[0], best[1].sharpe
    passed = sharpe is not None and sharpe > bar
    return GateCheck(
        name="beats the best baseline",
        passed=passed,
        value=sharpe,
        threshold=bar,
        sentence=f"After costs the model's Sharpe ratio is {'undefined' if sharpe is None else f'{sharpe:.2f}'}, "
        f"{'above' if passed else 'not above'} the {bar:.2f} of {name}.",
    )


def live_checks(summary: EvaluationSummary, limits: Thresholds) -> tuple[GateCheck, ...]:
    """What live money needs on top."""
    return (
        _above("significant RankIC", "The t statistic of RankIC", summary.forecast.rank_ic.t, limits.live_min_t),
        _above(
            "deflated Sharpe", "The deflated Sharpe ratio", summary.deflated_sharpe, limits.live_min_deflated_sharpe
        ),
        _beats_baselines(summary),
    )
