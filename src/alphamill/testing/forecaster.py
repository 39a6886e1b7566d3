"""Forecasters that say the same thing every time, and one behind which the model is switched."""

from collections.abc import Collection, Sequence

import numpy as np

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.signature import feature_matrix, to_forecasts
from alphamill.errors import ForecasterUnavailable
from alphamill.ports import Forecaster


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

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
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


class SwitchingForecaster:
    """The `Forecaster` port over several models, of which one is deployed; at scripted moments it is the next one.

    It asks as a client of a model server does: it reads who is deployed, prepares the question for that model, and
    only then the question arrives. If another model is deployed by then the question is prepared again, at most
    `ATTEMPTS` times. Moments are counted over all calls, from 1: each call to `signature` passes two, before and after
    the answer, and each attempt of `forecast` three, before the model is known, before its question arrives and after
    its answer.

    Parameters
    ----------
    models
        Deployed one after the other, the first one again after the last.
    switch_at
        The moments at which the next model is deployed.

    Attributes
    ----------
    moments
        How many have passed.
    """

    ATTEMPTS = 3

    def __init__(self, models: Sequence[Forecaster], switch_at: Collection[int] = ()) -> None:
        self._models, self._switch_at = tuple(models), frozenset(switch_at)
        self._deployed = 0
        self.moments = 0

    def switch(self) -> None:
        """Deploy the next model now."""
        self._deployed += 1

    def signature(self) -> ModelSignature:
        signature = self._at_next_moment().signature()
        self._at_next_moment()
        return signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        for _ in range(self.ATTEMPTS):
            asked = self._at_next_moment()
            feature_matrix(asked.signature(), snapshots)
            if self._at_next_moment() is asked:
                answer = asked.forecast(snapshots)
                self._at_next_moment()
                return answer
        raise ForecasterUnavailable(
            f"the model was switched during each of {self.ATTEMPTS} questions.",
            remedy="Wait for the deployment to settle.",
        )

    def _at_next_moment(self) -> Forecaster:
        self.moments += 1
        if self.moments in self._switch_at:
            self.switch()
        return self._models[self._deployed % len(self._models)]


def _of(value: float | dict[str, float], symbols: Sequence[str]) -> np.ndarray:
    picked = [value[symbol] if isinstance(value, dict) else value for symbol in symbols]
    return np.asarray(picked, dtype=np.float64)
