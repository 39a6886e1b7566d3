"""What a feature computes on: one symbol's prices with corporate actions taken out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from alphamill.features.windows import BarWindow

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

    Features declared `across` may be given several symbols, one behind the other; `ends` says where each one ends.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    unit: Floats
    ends: tuple[int, ...]
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_window(cls, window: BarWindow) -> Self:
        """Adjust the raw bars of a window."""
        return cls.from_windows([window])

    @classmethod
    def from_windows(cls, windows: Sequence[BarWindow]) -> Self:
        """Adjust the raw bars of several windows, none empty, each on its own, and lay them one behind the other."""
        ends = tuple(accumulate(window.ts.size for window in windows))
        # A power of two near the first price takes no digit away, and keeps TA-Lib's absolute
        # thresholds (it calls a variance under 1e-14 zero) from biting on prices like 1e-6.
        scales = [2.0 ** -math.frexp(float(window.close[0]))[1] for window in windows]
        unit = _laid([_factor(1.0 / window.price_factor, scale) for window, scale in zip(windows, scales, strict=True)])
        split = _laid([_factor(window.split_factor, 1.0) for window in windows])
        volume = _laid([window.volume for window in windows]) * split
        prices = [_laid([getattr(w, name) for w in windows]) * unit for name in ("open", "high", "low", "close")]
        for column in (*prices, volume, unit):
            column.flags.writeable = False
        return cls(prices[0], prices[1], prices[2], prices[3], volume, unit, ends)

    def each(self, recursion: Callable[..., T], *columns: Floats) -> T:
        """What `recursion` gives for the columns of one symbol, or of every symbol anew, laid one behind the other.

        It must give an array as long as its columns, or a tuple of such.
        """
        if len(self.ends) == 1:
            return recursion(*columns)
        starts = (0, *self.ends)
        parts: list[Any] = [
            recursion(*(column[start:end] for column in columns)) for start, end in zip(starts, self.ends, strict=False)
        ]
        if isinstance(parts[0], tuple):
            return tuple(map(np.concatenate, zip(*parts, strict=True)))  # type: ignore[return-value]
        return np.concatenate(parts)  # type: ignore[return-value]

    def shared(self, name: str, compute: Callable[[], T]) -> T:
        """Value of `compute`, computed once for all features that ask under `name`."""
        if name not in self._shared:
            self._shared[name] = compute()
        value: T = self._shared[name]
        return value


def _factor(steps: Floats, scale: float) -> Floats:
    """Running product times `scale`."""
    if (steps == 1.0).all():
        return np.full(steps.size, scale)
    product: Floats = np.multiply(np.cumprod(steps), scale, dtype=np.float64)
    return product


def _laid(parts: Sequence[Floats]) -> Floats:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
