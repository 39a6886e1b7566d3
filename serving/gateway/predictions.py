"""POST /api/predict: ask the deployed model."""

import datetime as dt
from typing import Final

from fastapi import APIRouter

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.signature import feature_matrix
from alphamill.errors import ForecasterUnavailable, InvalidFeatures, UnknownSymbol
from alphamill.ports import Forecaster
from serving.gateway.deps import WithParts
from serving.gateway.schemas import PredictIn, Prediction
from serving.problems import PROBLEMS

router = APIRouter(tags=["predict"])
#: A model may be switched between the count of the numbers and the answer: then it is asked once more.
ATTEMPTS: Final = 2


@router.post("/api/predict", responses=PROBLEMS, summary="Forecast the forward return of one symbol")
def predict(asked: PredictIn, parts: WithParts) -> Prediction:
    """Mean forward return over the model's horizon and the probability that its sign is right."""
    if asked.symbol not in parts.door.symbols:
        known = ", ".join(sorted(parts.door.symbols))
        raise UnknownSymbol(f"{asked.symbol} is traded by no portfolio.", field="symbol", remedy=f"Known: {known}.")
    for _ in range(ATTEMPTS):
        read_for = parts.forecaster.signature()
        snapshot = _snapshot(asked, read_for, parts.wall.now())
        with parts.metrics.forecast_secs.time():
            answer = _ask(parts.forecaster, read_for, snapshot)
        if answer is not None:
            forecast = answer.rows[0]
            return Prediction(prediction=forecast.mean, confidence=forecast.confidence)
    raise ForecasterUnavailable(
        f"the model was switched during each of {ATTEMPTS} questions.", remedy="Ask again when it has settled."
    )


def _snapshot(asked: PredictIn, signature: ModelSignature, at: dt.datetime) -> FeatureSnapshot:
    """The numbers sent, under the names that the model has for them; raises `InvalidFeatures` for another count."""
    expected = signature.features
    if len(asked.features) != len(expected):
        raise InvalidFeatures(
            f"got {len(asked.features)} features, the model expects {len(expected)}.",
            field="features",
            remedy=f"Send, in this order: {', '.join(expected)}.",
        )
    values = dict(zip(expected, asked.features, strict=True))
    return FeatureSnapshot(asked.symbol, at, values)


def _ask(forecaster: Forecaster, read_for: ModelSignature, snapshot: FeatureSnapshot) -> Forecasts | None:
    """The answer of the model that the numbers were read for, None if another one is deployed meanwhile."""
    try:
        answer = forecaster.forecast([snapshot])
    except InvalidFeatures:
        feature_matrix(read_for, [snapshot])  # raises where the numbers are at fault, and not a switch
        return None
    return answer if answer.signature == read_for else None
