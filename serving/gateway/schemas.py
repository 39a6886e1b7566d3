"""Requests and responses of the gateway's API; the four contracts of the README, to the letter."""

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alphamill.domain.status import TradingStatus

#: A trader speaks every second; one that has been silent for so long may be gone.
SILENT = dt.timedelta(seconds=15)
#: A JSON number: neither "1.5" nor true is one, and NaN and infinity are none here.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _iso_date(value: object) -> object:
    """Refuse what pydantic would turn into a date as well: seconds since 1970, times, single digits."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("a date is a string like 2024-11-15")
    return value


class BarIn(BaseModel):
    """One daily bar. `price_factor` is an extension: what this bar does to earlier prices (0.5 for a 2:1 split)."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "symbol": "AAPL",
                    "date": "2024-11-15",
                    "open": 145.2,
                    "high": 146.8,
                    "low": 144.0,
                    "close": 145.7,
                    "volume": 10000,
                }
            ]
        },
    )

    symbol: str = Field(min_length=1, max_length=20)
    date: Annotated[dt.date, BeforeValidator(_iso_date)] = Field(description="Session of the portfolio's calendar.")
    open: Number = Field(gt=0)
    high: Number = Field(gt=0)
    low: Number = Field(gt=0)
    close: Number = Field(gt=0)
    volume: Number = Field(ge=0)
    price_factor: Number = Field(default=1.0, gt=0, description="Multiplies every earlier price to compare.")


class Done(BaseModel):
    """A write that succeeded."""

    status: Literal["success"] = "success"
    message: str


class RefusedOut(BaseModel):
    """What a decision or a rule did not let pass as it was asked for."""

    symbol: str
    code: str
    detail: str


class TargetDone(Done):
    """A target in the ledger; `decision_id` once the trader has decided it."""

    decision_id: str | None = None
    refused: list[RefusedOut] = Field(default=[], description="Symbols left alone, denied by a rule, or made smaller.")


class PredictIn(BaseModel):
    """Raw features in the order of the model's signature."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"symbol": "AAPL", "features": [0.01, -0.02, 0.03]}]}
    )

    symbol: str = Field(min_length=1, max_length=20)
    features: list[Number] = Field(min_length=1, max_length=1000)


class Prediction(BaseModel):
    """`prediction` is the forward return as a fraction; `confidence` the probability that its sign is right."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"prediction": 0.02, "confidence": 0.85}]})

    prediction: float
    confidence: float = Field(ge=0.5, le=1)


class WeightsIn(BaseModel):
    """New target weights, as fractions of NAV; symbols of the universe left out become 0."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"weights": {"AAPL": 0.25, "GOOG": 0.35, "TSLA": 0.4}}]}
    )

    weights: dict[str, Number] = Field(min_length=1, max_length=10_000)


class ModelOut(BaseModel):
    """One registered model version."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={
            "examples": [{"model_id": "forecaster-1", "status": "deployed", "last_updated": "2024-11-15"}]
        },
    )

    model_id: str
    status: Literal["deployed", "registered"]
    last_updated: dt.date


class PositionOut(BaseModel):
    """A position and its weight at the last close."""

    symbol: str
    quantity: str = Field(description="Decimal, signed.")
    average_price_usd: str = Field(description="Decimal.")


class TradabilityOut(BaseModel):
    """Whether a portfolio could trade now, in the words of its trader."""

    tradable: bool
    reasons: list[str] = Field(description="What stands in the way; empty when nothing does.")
    at: dt.datetime | None = Field(description="When the trader said so.")
    holder: str = Field(description="The trader that holds the lease.")
    bars_version: int = Field(description="Version of the bars table that it has read.")

    @classmethod
    def of(cls, said: TradingStatus | None, now: dt.datetime) -> "TradabilityOut":
        """The trader's newest word; none, or an old one, is a reason by itself."""
        if said is None:
            return cls(tradable=False, reasons=["no trader has spoken of it yet"], at=None, holder="", bars_version=-1)
        reasons = list(said.reasons)
        if now - said.at > SILENT:
            reasons.append(f"the trader {said.holder} was last heard of at {said.at:%Y-%m-%d %H:%M:%S} UTC")
        return cls(
            tradable=not reasons, reasons=reasons, at=said.at, holder=said.holder, bars_version=said.bars_version
        )


class PortfolioOut(BaseModel):
    """What a portfolio is doing now."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    state: Literal["ACTIVE", "REDUCING", "HALTED"]
    state_reason: str
    nav_usd: str = Field(description="Decimal, at the last settled close.")
    cash_usd: str
    drawdown_pct: float
    last_settled_at: dt.datetime | None
    last_decision_at: dt.datetime | None
    model_version: str
    open_orders: int
    tradability: TradabilityOut
    positions: list[PositionOut]


class StateIn(BaseModel):
    """Why the state changes; it is kept in the history."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "news before the open"}]})

    reason: str = Field(min_length=1, max_length=500)


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the error.")
    field: str | None = None
    remedy: str | None = None
