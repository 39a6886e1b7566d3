"""Proof 6: the pipeline learns the signal that is there, no less and no more, and says how sure it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from alphamill.evaluation.calibration import CoverageBand, coverage_bands
from alphamill.evaluation.forecast_metrics import ForecastMetrics, forecast_metrics
from alphamill.evaluation.panels import checked_panel
from alphamill.evaluation.recovery import Recovery, Shuffled, recovery, shuffled
from alphamill.proofs.known_ic import daily_ic, daily_rank_ic, learned_ic, zscore_share
from alphamill.proofs.learning_gate import GateTrial, try_gate
from alphamill.proofs.learning_runs import (
    FEATURES,
    HORIZON,
    ZSCORE_BARS,
    Size,
    forecasts,
    market,
    rows_of,
    training_rows,
)
from alphamill.proofs.learning_runs import with_labels_of_other_names as with_strange_labels

Tell = Callable[[str], object]
STRENGTHS: Final = (0.0, 0.02, 0.05, 0.1)
SIZE: Final = Size(names=60, sessions=1_200)
SHUFFLED_SIZE: Final = Size(names=30, sessions=700)
SHUFFLES: Final = 10
#: The standard deviations of the deliberately overconfident twin, as a part of the model's own.
OVERCONFIDENT: Final = 1 / 3


@dataclass(frozen=True, slots=True)
class Confidence:
    """What forecasts say of themselves: interval coverage, Brier score, and that of the base rate."""

    name: str
    coverage: tuple[CoverageBand, ...]
    brier: float
    base_rate: float

    @property
    def honest(self) -> bool:
        return all(band.holds for band in self.coverage) and self.brier <= self.base_rate


@dataclass(frozen=True, slots=True)
class Learned:
    """What one strength of the signal led to: a panel and its metrics per market, from so many rows per fit."""

    signal_ic: float
    training_rows: int
    panels: tuple[pl.DataFrame, ...]
    metrics: tuple[ForecastMetrics, ...]


@dataclass(frozen=True, slots=True)
class LearningCheck:
    """All findings: per strength its IC and RankIC, labels of other names, what forecasts say of themselves, the gate.

    `overconfident` is the control: the same forecasts with a third of their spread must not count as honest.
    """

    strengths: tuple[tuple[float, Recovery], ...]
    shuffled: Shuffled
    model: Confidence
    overconfident: Confidence
    gate: tuple[GateTrial, ...]

    @property
    def holds(self) -> bool:
        learned = all(finding.holds for _, finding in self.strengths) and self.shuffled.holds
        judged = all(trial.holds for trial in self.gate)
        return learned and judged and self.model.honest and not self.overconfident.honest


def check_learning(*, markets: int, seed: int, tell: Tell = lambda _: None) -> LearningCheck:
    """Run the training path on markets of every strength and on shuffled labels, judge it, and try the gate.

    Parameters
    ----------
    markets
        Independent markets per strength; the error falls with their square root.
    seed
        Another seed, other markets and fits.
    """
    seeds = market_seeds(seed, len(STRENGTHS) * markets + SHUFFLES)
    found: list[tuple[float, Recovery]] = []
    for number, strength in enumerate(STRENGTHS):
        learned = learn(strength, seeds[number * markets : (number + 1) * markets], tell, size=SIZE)
        both = recovered(learned, names=SIZE.names, rows=2 * len(STRENGTHS))
        found.extend((strength, finding) for finding in both)
    return LearningCheck(
        strengths=tuple(found),
        shuffled=without_signal(seeds[-SHUFFLES:], tell),
        model=confidence("the model", learned.panels),
        overconfident=confidence("a third of its spread", learned.panels, scale=OVERCONFIDENT),
        gate=tuple(try_gate(seed, tell)),
    )


def market_seeds(seed: int, count: int) -> list[int]:
    """Seeds of markets that have nothing in common."""
    return [int(value) for value in np.random.SeedSequence(seed).generate_state(count)]


def learn(signal_ic: float, seeds: list[int], tell: Tell = lambda _: None, *, size: Size) -> Learned:
    """Train and forecast on one market per seed."""
    panels = []
    for number, seed in enumerate(seeds, start=1):
        tell(f"known IC {signal_ic:.2f}, market {number} of {len(seeds)}")
        rows = rows_of(market(size, signal_ic, seed).bars)
        panels.append(forecasts(rows, seed))
    measured = tuple(forecast_metrics(panel, horizon_bars=HORIZON) for panel in panels)
    # Markets of one size have the same days, so the last one speaks for all.
    return Learned(signal_ic, round(training_rows(rows)), tuple(panels), measured)


def recovered(learned: Learned, *, names: int, rows: int) -> tuple[Recovery, Recovery]:
    """IC and RankIC against what theory says they are; `rows` bands are judged together."""
    visible = learned.signal_ic * zscore_share(ZSCORE_BARS)
    attainable = learned_ic(visible, len(FEATURES), learned.training_rows)
    known = {"ic": daily_ic(attainable, names), "rank_ic": daily_rank_ic(attainable, names)}
    label = {"ic": "IC", "rank_ic": "RankIC"}

    def of(column: str) -> Recovery:
        runs = [np.array([v for v in getattr(m.daily, column) if v is not None]) for m in learned.metrics]
        return recovery(label[column], known[column], runs, horizon_bars=HORIZON, rows=rows)

    return of("ic"), of("rank_ic")


def without_signal(seeds: list[int], tell: Tell = lambda _: None, *, signal_ic: float = STRENGTHS[-1]) -> Shuffled:
    """Train on labels of other names: the forecasts must rank nothing."""
    t_values, days = [], 0
    for number, seed in enumerate(seeds, start=1):
        tell(f"shuffled labels, market {number} of {len(seeds)}")
        rows = with_strange_labels(rows_of(market(SHUFFLED_SIZE, signal_ic, seed).bars), seed)
        measured = forecast_metrics(forecasts(rows, seed), horizon_bars=HORIZON)
        t_values.append(measured.ic.t or 0.0)
        days = measured.ic.days
    return shuffled(t_values, days=days, horizon_bars=HORIZON)


def confidence(name: str, panels: tuple[pl.DataFrame, ...], *, scale: float = 1.0) -> Confidence:
    """Coverage and Brier score over all markets; `scale` makes the forecasts more or less sure of themselves."""
    # A market is a name of its own: the same symbols of two markets are different names.
    named = [panel.with_columns(symbol=pl.col("symbol") + f"/{i}") for i, panel in enumerate(panels)]
    rows = checked_panel(pl.concat(named).with_columns(pl.col("std") * scale))
    scores = forecast_metrics(rows, horizon_bars=HORIZON).calibration
    if scores.brier is None or scores.brier_base_rate is None:
        raise AssertionError("forecasts and labels of a continuous market have signs")
    return Confidence(name, coverage_bands(rows, horizon_bars=HORIZON), scores.brier, scores.brier_base_rate)
