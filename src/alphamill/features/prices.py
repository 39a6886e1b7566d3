"""What a feature computes on: one symbol's prices with corporate actions taken out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from alphamill.domain.history import BarWindow

Floats = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prices:
    """Adjusted columns of one symbol, oldest first, each float64 of shape [n], never NaN.

    Prices are multiplied by the forward factor ``C(t) = prod(1 / price_factor(s) for s <= t)``:
    a bar's factor changes this and later bars only, so no value ever changes when a new action
    arrives. Ratios of prices can be taken as they are. A value in price units must be divided by
    `unit`: it is then exactly the value on prices adjusted as known at t, in the share units of t.
    Volume is adjusted for splits only.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    unit: Floats
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_window(cls, window: BarWindow) -> Self:
        """Adjust the raw bars of a window."""
        # A power of two near the first price takes no digit away, and keeps TA-Lib's absolute
        # thresholds (it calls a variance under 1e-14 zero) from biting on prices like 1e-6.
        scale = 2.0 ** -math.frexp(float(window.close[0]))[1] if window.close.size else 1.0
        unit = np.multiply(np.cumprod(1.0 / window.price_factor), scale, dtype=np.float64)
        volume = window.volume * np.cumprod(window.split_factor)
        columns = (window.open * unit, window.high * unit, window.low * unit, window.close * unit, volume, unit)
        for column in columns:
            column.flags.writeable = False
        return cls(*columns)

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """Value of `compute`, computed once per symbol for all features that ask under `name`."""
        if name not in self._shared:
            self._shared[name] = compute()
        value: T = self._shared[name]
        return value
