"""Probability of backtest overfitting: is the best configuration in sample any good out of sample?"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from alphamill.errors import DataUnfit, InvalidInput

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Overfitting:
    """`probability` is the share of splits whose best configuration lands in the lower half out of sample.

    `splits` is C(blocks, blocks/2); `median_rank` the median relative rank (0 worst, 1 best) out of sample of
    the configuration that was best in sample.
    """

    probability: float
    splits: int
    median_rank: float


def _checked(returns: FloatArray, blocks: int) -> FloatArray:
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise InvalidInput(
            f"returns has shape {values.shape}.", field="returns", remedy="Give (periods, configurations >= 2)."
        )
    if blocks < 2 or blocks % 2 or blocks > 20:
        raise InvalidInput(f"blocks is {blocks}.", field="blocks", remedy="Give an even number from 2 to 20.")
    if values.shape[0] < 2 * blocks:
        raise DataUnfit(f"{values.shape[0]} periods for {blocks} blocks.", field="returns", remedy="Use fewer blocks.")
    if not np.isfinite(values).all():
        raise DataUnfit("returns holds values that are not finite.", field="returns", remedy="Repair the backtests.")
    return values


def _sharpe(sums: FloatArray, squares: FloatArray, count: int) -> FloatArray:
    mean = sums / count
    variance = np.maximum(squares / count - mean**2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / np.sqrt(variance)
    # A configuration that never traded has no spread: it is neither good nor bad.
    return np.where(variance > 1e-18, ratio, 0.0)


def backtest_overfitting(returns: FloatArray, *, blocks: int = 16) -> Overfitting:
    """Combinatorially symmetric cross-validation of Bailey, Borwein, Lopez de Prado and Zhu (2017).

    Cut the periods into `blocks` equal blocks; for every half of them, take the configuration with the best Sharpe
    ratio on that half, find its relative rank w = rank / (N + 1) on the other half, and count logit(w) <= 0.
    Closed forms: one that wins in every block gives 0 and a median rank of N / (N + 1); two of which one gains in each
    half what it loses in the other, and its mirror image, give 1; configurations that differ by noise only give about
    0.5. 16 blocks have C(16, 8) = 12,870 splits.

    Parameters
    ----------
    returns
        Shape (periods, configurations), per-period returns, finite. Periods beyond a multiple of `blocks` are
        dropped from the start.
    """
    values = _checked(returns, blocks)
    size = values.shape[0] // blocks
    parts = values[-size * blocks :].reshape(blocks, size, -1)
    sums, squares = parts.sum(axis=1), (parts**2).sum(axis=1)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(halves), blocks))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    count = size * blocks // 2
    inside = _sharpe(chosen @ sums, chosen @ squares, count)
    outside = _sharpe((1.0 - chosen) @ sums, (1.0 - chosen) @ squares, count)
    # scipy.stats takes a second to import; only this function needs it.
    from scipy.stats import rankdata

    ranks = rankdata(outside, axis=1)[np.arange(len(halves)), inside.argmax(axis=1)] / (values.shape[1] + 1)
    return Overfitting(float((ranks <= 0.5).mean()), len(halves), float(np.median(ranks)))
