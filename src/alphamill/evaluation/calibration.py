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


class Calibration(Record):
    """How honest the spread of the forecasts is. All shares are fractions of rows.

    `nll` is the mean negative log likelihood under a normal forecast, 0.5 ln(2 pi s^2) + (y - m)^2 / (2 s^2), in nats.
    `brier` is the mean of (confidence - hit)^2 (Brier 1950; 0.25 is a coin); None where no sign can be judged.
    `coverage` holds the central 50, 80 and 95 % intervals; `quantiles` the share of labels below each predicted
    quantile (5 % to 95 %); `reliability` up to five bins of equal count, by confidence.
    """

    nll: float
    brier: float | None
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
    return Calibration(
        nll=float(scored["nll"].to_numpy().mean()),
        brier=None if brier is None else float(brier),  # type: ignore[arg-type]
        coverage=tuple(
            Level(nominal=p, observed=float((np.abs(z) <= ndtri(0.5 + p / 2.0)).mean())) for p in COVERAGE_LEVELS
        ),
        quantiles=tuple(Level(nominal=p, observed=float((z <= ndtri(p)).mean())) for p in _QUANTILES),
        reliability=_reliability(judged),
    )
