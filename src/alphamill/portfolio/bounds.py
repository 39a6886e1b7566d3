"""Where a weight may lie, and how a solution is made exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alphamill.domain.decisions import Signal
from alphamill.domain.portfolios import Sizing

Array = npt.NDArray[np.float64]

#: Weights are whole multiples of 1e-6: the same on every machine, and limits hold exactly.
UNITS: Final = 1_000_000
#: A free weight smaller than this is noise of the solver or not worth a position.
TINY_UNITS: Final = 100


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits per symbol, shape (n,) each, and the sum of absolute weights.

    `pinned` marks weights that are not free: there lower equals upper. Some weights always satisfy all
    limits at once.
    """

    lower: Array
    upper: Array
    pinned: npt.NDArray[np.bool_]
    gross: float


def bounds(sizing: Sizing, signals: Sequence[Signal], current: Array, gross: float) -> Bounds:
    """Limits of `sizing` narrowed by signals: HOLD pins to the current weight, SELL may not raise it.

    A current weight outside the limits is first clipped into them. If what is held and what may not
    be bought back uses up `gross` alone, it is fitted in proportion and nothing is left to decide.
    """
    lowest = 0.0 if sizing.long_only else -sizing.max_weight
    inside = np.clip(current, lowest, sizing.max_weight)
    hold = np.array([signal is Signal.HOLD for signal in signals], dtype=bool)
    sell = np.array([signal is Signal.SELL for signal in signals], dtype=bool)
    forced = hold | (sell & (inside < 0))
    forced_gross = float(np.abs(inside[forced]).sum())
    if forced_gross >= gross:
        fitted = np.where(forced, inside * (gross / forced_gross if forced_gross else 0.0), 0.0)
        return Bounds(fitted, fitted, np.ones_like(hold), gross)
    lower = np.where(hold, inside, lowest)
    upper = np.where(hold | sell, inside, sizing.max_weight)
    # A sliver of freedom is less than a unit and only spoils the program's scale.
    pinned = hold | (upper - lower < 1 / UNITS)
    return Bounds(lower, np.where(pinned, lower, upper), pinned, gross)


def clean(weights: Array, limits: Bounds) -> Array:
    """Weights as multiples of 1e-6, within `limits`; tiny free ones become 0.

    Limits are rounded toward zero first. Rounding may lift the sum of absolute weights over its limit
    by some units; the free weights give them back, the one with most to give first.
    """
    lower, upper = toward_zero(limits.lower), toward_zero(limits.upper)
    units = np.rint(weights * UNITS)
    units[np.abs(units) < TINY_UNITS] = 0.0
    units = np.clip(units, lower, upper)
    needed = np.where(units < 0, np.maximum(-upper, 0.0), np.maximum(lower, 0.0))
    spare = np.abs(units) - needed
    excess = np.abs(units).sum() - toward_zero(np.array(limits.gross))
    for i in np.argsort(-spare, kind="stable"):
        if excess <= 0:
            break
        give = min(excess, spare[i])
        units[i] -= np.sign(units[i]) * give
        excess -= give
    result: Array = units / UNITS + 0.0
    return result


def toward_zero(weights: Array) -> Array:
    """The most whole units whose weight is not larger in absolute value: exact, so 0.3 is 300,000."""
    units = np.rint(weights * UNITS)
    nearer: Array = units - np.where(np.abs(units / UNITS) > np.abs(weights), np.sign(units), 0.0)
    return nearer
