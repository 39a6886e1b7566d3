"""A feature of your own: the jump from the close before to this open."""

import numpy as np

from alphamill.features import Prices, feature


@feature("overnight_gap", inputs=("open", "close"), warm_up=1)
def overnight_gap(prices: Prices) -> np.ndarray:
    """Open over the close before, minus one."""
    return np.append(np.nan, prices.open[1:] / prices.close[:-1] - 1.0)
