"""What the routes need, wired once per process and handed to them by FastAPI."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from alphamill.door import Door
from alphamill.monitoring import Metrics
from alphamill.ports import Forecaster, Ledger, ModelRegistry, ModelServer, OnlineFeatures
from alphamill.settings import Settings
from alphamill.trading.trader import Trader
from serving.controller.engine import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything one controller process holds."""

    settings: Settings
    door: Door
    trader: Trader
    engine: Engine
    ledger: Ledger
    features: OnlineFeatures
    forecaster: Forecaster
    registry: ModelRegistry
    model_server: ModelServer
    metrics: Metrics


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


WithParts = Annotated[Parts, Depends(parts_of)]
