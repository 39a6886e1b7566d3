"""Who is asked for forecasts."""

from collections.abc import Sequence
from typing import Protocol

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature


class Forecaster(Protocol):
    """Asks a model for forecasts."""

    def signature(self) -> ModelSignature:
        """What is deployed now: tells which features to read. It promises nothing about who will answer."""
        ...

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        """One answer of one version, one row per snapshot in order; all finite with std > 0.

        Whoever needs to know which model answered reads `Forecasts.signature` and asks nothing else: the deployment
        may switch between two questions.

        Raises
        ------
        InvalidFeatures
            A snapshot lacks a feature of the version that is deployed, or one is not a finite float32.
        ForecasterUnavailable
            No answer, or one that must not be traded on.
        """
        ...
