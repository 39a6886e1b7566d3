"""Confidence intervals for the difference of two dependent return series, by resampling blocks."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from alphamill.errors import DataUnfit, InvalidInput

FloatArray = npt.NDArray[np.float64]
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """`estimate` on the data itself; `low` and `high` bound the central `confidence` of the resampled differences."""

    estimate: float
    low: float
    high: float
    confidence: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0.0 or self.high < 0.0


def _statistic(values: FloatArray, kind: str) -> FloatArray:
    mean = values.mean(axis=-1)
    if kind == "mean":
        return np.asarray(mean)
    spread = values.std(axis=-1, ddof=1)
    return np.asarray(np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0.0))


def _checked(values: FloatArray, name: str) -> FloatArray:
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or len(series) < 10:
        raise DataUnfit(f"{name} has shape {series.shape}.", field=name, remedy="Give ten or more returns in a row.")
    if not np.isfinite(series).all():
        raise DataUnfit(f"{name} holds values that are not finite.", field=name, remedy="Repair the series.")
    return series


def bootstrap_difference(
    first: FloatArray,
    second: FloatArray,
    *,
    statistic: Literal["mean", "sharpe"] = "sharpe",
    block_bars: int | None = None,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int,
) -> Interval:
    """Percentile interval of statistic(first) - statistic(second), both resampled with the same blocks.

    Circular block bootstrap of Politis and Romano (1992): blocks of consecutive periods that wrap around keep the
    dependence in time, shared indices keep the dependence between the series.

    Parameters
    ----------
    first, second
        Shape (n,), returns of the same n periods, finite.
    statistic
        Per period: the mean, or mean / standard deviation (0 for a constant series).
    block_bars
        Length of a block; None: ceil(n^(1/3)). Give at least the horizon where labels overlap.
    seed
        Same seed, same interval.
    """
    a, b = _checked(first, "first"), _checked(second, "second")
    if len(a) != len(b):
        raise InvalidInput(f"{len(a)} and {len(b)} returns.", field="second", remedy="Align both on the same periods.")
    if not 0.0 < confidence < 1.0 or samples < 100:
        raise InvalidInput(
            f"confidence {confidence}, samples {samples}.", field="confidence", remedy="Give (0, 1) and >= 100."
        )
    n = len(a)
    block = min(n, block_bars or math.ceil(n ** (1.0 / 3.0)))
    if block < 1:
        raise InvalidInput(f"block_bars is {block_bars}.", field="block_bars", remedy="Give a positive length.")
    rng, drawn = np.random.default_rng(seed), []
    for begin in range(0, samples, _BATCH):
        starts = rng.integers(0, n, size=(min(_BATCH, samples - begin), math.ceil(n / block), 1))
        index = ((starts + np.arange(block)) % n).reshape(len(starts), -1)[:, :n]
        drawn.append(_statistic(a[index], statistic) - _statistic(b[index], statistic))
    low, high = np.quantile(np.concatenate(drawn), [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    estimate = float(_statistic(a, statistic) - _statistic(b, statistic))
    return Interval(estimate, float(low), float(high), confidence)
