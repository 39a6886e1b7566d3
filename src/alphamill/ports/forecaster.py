"""Who is asked for forecasts."""

from collections.abc import Sequence
from typing import Protocol

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, ModelSignature


class Forecaster(Protocol):
    """Asks a model for forecasts."""

    def signature(self) -> ModelSignature: ...

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> list[Forecast]:
        """One forecast per snapshot, in order; all finite with std > 0, else `ForecasterUnavailable`."""
        ...
