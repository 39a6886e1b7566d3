"""A correlation matrix that can be trusted with few bars."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from alphamill.errors import DataUnfit
from alphamill.portfolio.bounds import Array
from alphamill.portfolio.covariance import FactorCovariance

MIN_BARS: Final = 20


def shrunk_correlation(returns: Array, symbols: Sequence[str]) -> FactorCovariance:
    """Ledoit-Wolf correlation of daily returns.

    Parameters
    ----------
    returns
        Shape (bars, n), adjusted daily returns as fractions, no NaN, at least 20 bars.
    symbols
        Names of the columns, for messages.

    Returns
    -------
    FactorCovariance
        Ones on the diagonal, positive definite, one factor per bar. A column that never moves correlates
        with nothing.

    Raises
    ------
    DataUnfit
        Wrong shape, too few bars, or a value that is not finite.

    Notes
    -----
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices",
    applied to returns scaled to unit variance, so that it shrinks correlations toward zero.
    """
    if returns.ndim != 2 or returns.shape[1] != len(symbols) or returns.shape[0] < MIN_BARS:
        raise DataUnfit(
            f"returns have shape {returns.shape} for {len(symbols)} symbols; at least {MIN_BARS} bars are needed.",
            field="returns",
            remedy="Ingest more history, or trade fewer symbols.",
        )
    wrong = np.flatnonzero(~np.isfinite(returns).all(axis=0))
    if len(wrong):
        raise DataUnfit(
            f"returns of {symbols[wrong[0]]} are not all finite.", field="returns", remedy="Validate its bars."
        )
    centred = returns - returns.mean(axis=0)
    deviation = np.sqrt(np.square(centred).mean(axis=0))
    moves = deviation > 1e-12
    scaled = centred * np.where(moves, 1.0 / np.where(moves, deviation, 1.0), 0.0)
    kept = 1.0 - shrinkage(scaled)
    # Shrinking pulls variances toward their mean, which is under 1 where columns never move: take that out again.
    share = kept / (kept + (1.0 - kept) * moves.mean()) if moves.any() else 0.0
    return FactorCovariance(np.where(moves, 1.0 - share, 1.0), scaled * np.sqrt(share / len(returns)))


def shrinkage(centred: Array) -> float:
    """Ledoit and Wolf's optimal weight of the scaled identity, in [0, 1].

    Their sums over all pairs of columns are sums over pairs of bars as well; the shorter side is taken.

    Parameters
    ----------
    centred
        Shape (bars, n), columns of mean zero.
    """
    bars, n = centred.shape
    inner = centred @ centred.T if bars < n else centred.T @ centred
    squares = np.square(centred)
    mean_variance = squares.sum() / (bars * n)
    of_sample = np.square(inner).sum() / bars**2
    spread = (of_sample - n * mean_variance**2) / n
    noise = (np.square(squares.sum(axis=1)).sum() / bars - of_sample) / (bars * n)
    return float(min(noise, spread) / spread) if noise > 0 and spread > 0 else 0.0
