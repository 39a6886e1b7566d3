"""What the model says about one symbol."""

import datetime as dt
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """What a forecaster expects and who it is: enough to build a request and to explain an order."""

    name: str
    version: str
    features: tuple[str, ...]
    horizon_bars: int
    data_version: str
    run_id: str


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
