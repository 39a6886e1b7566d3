"""A correlation matrix that can be trusted with few bars."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from alphamill.errors import DataUnfit

MIN_BARS: Final = 20


def shrunk_correlation(returns: npt.NDArray[np.float64], symbols: Sequence[str]) -> npt.NDArray[np.float64]:
    """Ledoit-Wolf correlation of daily returns.

    Parameters
    ----------
    returns
        Shape (bars, n), adjusted daily returns as fractions, no NaN, at least 20 bars.
    symbols
        Names of the columns, for messages.

    Returns
    -------
    ndarray of float64, shape (n, n)
        Ones on the diagonal, positive definite. A column that never moves correlates with nothing.

    Raises
    ------
    DataUnfit
        Wrong shape, too few bars, or a value that is not finite.

    Notes
    -----
    Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices",
    applied to returns scaled to unit variance, so that it shrinks correlations toward zero.
    """
    from sklearn.covariance import ledoit_wolf  # type: ignore[import-untyped,unused-ignore]

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
    deviation = centred.std(axis=0)
    moves = deviation > 1e-12
    scaled = np.where(moves, centred / np.where(moves, deviation, 1.0), 0.0)
    covariance, _ = ledoit_wolf(scaled, assume_centered=True)
    scale = np.sqrt(np.where(moves, np.diag(covariance), 1.0))
    correlation: npt.NDArray[np.float64] = np.asarray(covariance, dtype=np.float64) / np.outer(scale, scale)
    correlation[~moves, :] = 0.0
    correlation[:, ~moves] = 0.0
    np.fill_diagonal(correlation, 1.0)
    return correlation
