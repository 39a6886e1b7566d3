"""Forecasters that say the same thing every time."""

from collections.abc import Sequence

import numpy as np

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, ModelSignature
from alphamill.domain.signature import feature_matrix, to_forecasts
from alphamill.errors import ForecasterUnavailable


class ConstantForecaster:
    """The `Forecaster` port with one mean and std for every snapshot; snapshots are checked as a model would.

    Parameters
    ----------
    mean, std
        Fractions over the horizon; given per symbol or once for all. A NaN is answered with
        `ForecasterUnavailable`, as by a model that answers NaN.
    """

    def __init__(
        self,
        signature: ModelSignature,
        *,
        mean: float | dict[str, float] = 0.01,
        std: float | dict[str, float] = 0.02,
    ) -> None:
        self._signature, self._mean, self._std = signature, mean, std
        self._down = ""

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> list[Forecast]:
        if self._down:
            raise ForecasterUnavailable(self._down, remedy="Call recover().")
        feature_matrix(self._signature, snapshots)
        symbols = [snapshot.symbol for snapshot in snapshots]
        return to_forecasts(self._signature, snapshots, _of(self._mean, symbols), _of(self._std, symbols))

    def fail(self, reason: str = "the forecaster is switched off.") -> None:
        """From now on every question raises `ForecasterUnavailable`."""
        self._down = reason

    def recover(self) -> None:
        self._down = ""


def _of(value: float | dict[str, float], symbols: Sequence[str]) -> np.ndarray:
    picked = [value[symbol] if isinstance(value, dict) else value for symbol in symbols]
    return np.asarray(picked, dtype=np.float64)
