"""Do the predicted distributions mean what they say? Coverage of intervals, reliability of `confidence`."""

import math
from typing import Final

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from alphamill.evaluation.records import Record

COVERAGE_LEVELS: Final = (0.5, 0.8, 0.95)
_QUANTILES: Final = tuple(step / 20 for step in range(1, 20))
_BINS: Final = 5


class Level(Record):
    """`observed` is the share of labels where a share of `nominal` was promised."""

    nominal: float
    observed: float


class ReliabilityBin(Record):
    """Forecasts of similar confidence: the mean P(sign right) they claimed against how often they were right."""

    confidence: float
    hit_rate: float
    rows: int


class CoverageBand(Record):
    """`observed` share of labels in an interval of `nominal` probability; `low`..`high` is what chance allows."""

    nominal: float
    observed: float
    low: float
    high: float
    rows: int

    @property
    def holds(self) -> bool:
        return self.low <= self.observed <= self.high


class Calibration(Record):
    """How honest the spread of the forecasts is. All shares are fractions of rows.

    `nll` is the mean negative log likelihood under a normal forecast, 0.5 ln(2 pi s^2) + (y - m)^2 / (2 s^2), in nats.
    `brier` is the mean of (confidence - hit)^2 (Brier 1950; 0.25 is a coin); `brier_base_rate` is u (1 - u) with u the
    share of rises, what a forecast gets that always says "up" with confidence u (Murphy 1973: the uncertainty term).
    A confidence that is worth something is below it. Both are None where no sign can be judged.
    Closed forms: a normal forecast whose spread is k times the true one covers 2 Phi(k q) - 1 where 2 Phi(q) - 1 is
    promised, and has nll 0.5 ln(2 pi) + ln(k s) + 1 / (2 k^2) for a true spread s.
    `coverage` holds the central 50, 80 and 95 % intervals; `quantiles` the share of labels below each predicted
    quantile (5 % to 95 %); `reliability` up to five bins of equal count, by confidence.
    """

    nll: float
    brier: float | None
    brier_base_rate: float | None
    coverage: tuple[Level, ...]
    quantiles: tuple[Level, ...]
    reliability: tuple[ReliabilityBin, ...]


def with_scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Add z, nll, confidence and hit (null where mean or label is 0) to a checked panel."""
    mean, std, label = pl.col("mean"), pl.col("std"), pl.col("label")
    z = (label - mean) / std
    judged = (mean != 0) & (label != 0)
    confidence = pl.Series("confidence", ndtr(np.abs(rows["mean"].to_numpy()) / rows["std"].to_numpy()))
    return rows.with_columns(
        z.alias("z"),
        (0.5 * math.log(2.0 * math.pi) + std.log() + 0.5 * z**2).alias("nll"),
        confidence,
        pl.when(judged).then((mean > 0) == (label > 0)).cast(pl.Float64).alias("hit"),
    )


def _reliability(judged: pl.DataFrame) -> tuple[ReliabilityBin, ...]:
    place = (pl.int_range(pl.len()) * _BINS // pl.len()).alias("bin")
    bins = (
        judged.sort("confidence", maintain_order=True)
        .with_columns(place)
        .group_by("bin", maintain_order=True)
        .agg(pl.col("confidence", "hit").mean(), pl.len().alias("rows"))
    )
    return tuple(ReliabilityBin(confidence=c, hit_rate=h, rows=n) for _, c, h, n in bins.iter_rows())


def calibration(scored: pl.DataFrame) -> Calibration:
    """Measure the frame of `with_scores`."""
    z = scored["z"].to_numpy()
    judged = scored.filter(pl.col("hit").is_not_null())
    brier = ((judged["confidence"] - judged["hit"]) ** 2).mean()
    rises = (judged["label"] > 0).mean()
    return Calibration(
        nll=float(scored["nll"].to_numpy().mean()),
        brier=None if brier is None else float(brier),  # type: ignore[arg-type]
        brier_base_rate=None if rises is None else float(rises * (1.0 - rises)),  # type: ignore[operator,arg-type]
        coverage=tuple(
            Level(nominal=p, observed=float((np.abs(z) <= ndtri(0.5 + p / 2.0)).mean())) for p in COVERAGE_LEVELS
        ),
        quantiles=tuple(Level(nominal=p, observed=float((z <= ndtri(p)).mean())) for p in _QUANTILES),
        reliability=_reliability(judged),
    )


def coverage_bands(rows: pl.DataFrame, *, horizon_bars: int, confidence: float = 0.95) -> tuple[CoverageBand, ...]:
    """Coverage of the central intervals against what a binomial count of independent rows allows.

    Only every `horizon_bars`-th session counts: labels of the sessions between overlap, so their hits are not
    independent. Across names they are independent only where names are, as in the synthetic market; on a real one
    the band is too narrow.

    Parameters
    ----------
    rows
        As `alphamill.evaluation.panels.checked_panel` gives them.
    confidence
        Probability that all bands hold together for a forecast that means what it says (Sidak 1967).
    """
    from scipy.stats import binom

    sessions = rows["ts"].unique().sort().gather_every(horizon_bars)
    z = with_scores(rows.filter(pl.col("ts").is_in(sessions.implode())))["z"].to_numpy()
    tail = (1.0 - confidence ** (1.0 / len(COVERAGE_LEVELS))) / 2.0
    return tuple(
        CoverageBand(
            nominal=p,
            observed=float((np.abs(z) <= ndtri(0.5 + p / 2.0)).mean()),
            low=float(binom.ppf(tail, len(z), p)) / len(z),
            high=float(binom.ppf(1.0 - tail, len(z), p)) / len(z),
            rows=len(z),
        )
        for p in COVERAGE_LEVELS
    )
