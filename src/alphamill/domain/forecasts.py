"""What the model says about one symbol."""

import datetime as dt
import math
from dataclasses import dataclass

from alphamill.domain.approval import Approval


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """What a forecaster expects and who it is: enough to build a request and to explain an order.

    `approved_for` is what the gate allows this version to trade; "none" where nobody says.
    """

    name: str
    version: str
    features: tuple[str, ...]
    horizon_bars: int
    data_version: str
    run_id: str
    approved_for: Approval = "none"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Mean and standard deviation of the forward return, open t+1 to open t+1+horizon, as fractions."""

    symbol: str
    ts: dt.datetime
    mean: float
    std: float
    model_version: str

    @property
    def confidence(self) -> float:
        """Probability that the sign of `mean` is right under a normal forecast: Phi(|mean| / std)."""
        return 0.5 * (1.0 + math.erf(abs(self.mean) / (self.std * math.sqrt(2.0))))
