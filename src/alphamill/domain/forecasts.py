"""What a model says, and which model said it."""

import datetime as dt
import hashlib
import math
from dataclasses import dataclass

from alphamill.domain.approval import Approval
from alphamill.errors import ModelMismatch


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

    @property
    def model_id(self) -> str:
        """Name and version, as decisions and reports show them."""
        return f"{self.name}-{self.version}"

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with every field: an answer that carries them was given under this signature."""
        known = (self.name, self.version, self.features, self.horizon_bars)
        fields = (*known, self.data_version, self.run_id, self.approved_for)
        return hashlib.sha256(repr(fields).encode()).hexdigest()[:16]


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


@dataclass(frozen=True, slots=True)
class Forecasts:
    """One answer of one model version: who answered, and a row per snapshot in the order it was asked.

    Raises
    ------
    ModelMismatch
        A row names another version than the signature.
    """

    signature: ModelSignature
    rows: tuple[Forecast, ...]

    def __post_init__(self) -> None:
        version = self.signature.version
        for row in self.rows:
            if row.model_version != version:
                raise ModelMismatch(
                    f"a forecast of {row.symbol} by version {row.model_version} is no answer of "
                    f"{self.signature.model_id}.",
                    field="model_version",
                    remedy="Take the signature and the rows from the same answer.",
                )
