"""Moving mean and standard deviation that keep their digits."""

from typing import NamedTuple

import numpy as np

from alphamill.features.prices import Floats


class _Moments(NamedTuple):
    """Moments of all windows of `bars`; entry j belongs to the window that ends at j + bars - 1.

    `squares` are summed squares of deviations from the mean; None where all are 0, in windows of one bar.
    """

    bars: int
    mean: Floats
    squares: Floats | None


def mean_std(values: Floats, window: int) -> tuple[Floats, Floats]:
    """Moving mean and population standard deviation (ddof 0, as TA-Lib's SMA and STDDEV).

    A running sum keeps the rounding of every large value that ever passed through it: after one
    spike, TA-Lib's STDDEV of a quiet series is noise. Here each window is merged from its halves
    (Chan, Golub, LeVeque 1979), nothing is ever subtracted again, and a constant window has a
    standard deviation of exactly 0. The work is O(n log window).

    Parameters
    ----------
    values
        float64 [n], finite.
    window
        Bars per window, >= 1.

    Returns
    -------
    mean, std: float64 [n], NaN for the first ``window - 1`` entries.
    """
    moments = _moments(values, window)
    mean, std = np.full(values.size, np.nan), np.full(values.size, np.nan)
    mean[window - 1 :] = moments.mean
    std[window - 1 :] = 0.0 if moments.squares is None else np.sqrt(moments.squares / window)
    return mean, std


def _moments(values: Floats, bars: int) -> _Moments:
    if bars == 1:
        return _Moments(1, values, None)
    half = _moments(values, bars // 2)
    even = _merge(half, half)
    return _merge(even, _moments(values, 1)) if bars % 2 else even


def _merge(newer: _Moments, older: _Moments) -> _Moments:
    """Windows of `newer`, each extended by the window of `older` that ends just before it."""
    bars = newer.bars + older.bars
    size = max(0, newer.mean.size - older.bars)
    mean = newer.mean[older.bars :]
    delta = older.mean[:size] - mean
    merged = delta * (older.bars / bars)
    merged += mean
    delta *= delta
    delta *= newer.bars * older.bars / bars
    for squares in (newer.squares[older.bars :] if newer.squares is not None else None, older.squares):
        if squares is not None:
            delta += squares[:size]
    return _Moments(bars, merged, delta)
