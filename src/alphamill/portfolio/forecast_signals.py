"""From forecasts to signals."""

from collections.abc import Sequence

from alphamill.domain.decisions import Signal
from alphamill.domain.forecasts import Forecast


def signals(forecasts: Sequence[Forecast], threshold_bps: float) -> dict[str, Signal]:
    """BUY above the threshold, SELL below its negative, HOLD between and at it.

    Parameters
    ----------
    forecasts
        One per symbol; means are fractions over the horizon.
    threshold_bps
        Basis points of forward return, >= 0.
    """
    threshold = threshold_bps / 10_000
    return {forecast.symbol: _signal(forecast.mean, threshold) for forecast in forecasts}


def _signal(mean: float, threshold: float) -> Signal:
    if mean > threshold:
        return Signal.BUY
    return Signal.SELL if mean < -threshold else Signal.HOLD
