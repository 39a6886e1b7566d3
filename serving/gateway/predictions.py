"""POST /api/predict: ask the deployed model."""

from fastapi import APIRouter

from alphamill.domain.features import FeatureSnapshot
from alphamill.errors import InvalidFeatures, UnknownSymbol
from serving.gateway.deps import WithParts
from serving.gateway.schemas import PredictIn, Prediction
from serving.problems import PROBLEMS

router = APIRouter(tags=["predict"])


@router.post("/api/predict", responses=PROBLEMS, summary="Forecast the forward return of one symbol")
def predict(asked: PredictIn, parts: WithParts) -> Prediction:
    """Mean forward return over the model's horizon and the probability that its sign is right."""
    if asked.symbol not in parts.door.symbols:
        known = ", ".join(sorted(parts.door.symbols))
        raise UnknownSymbol(f"{asked.symbol} is traded by no portfolio.", field="symbol", remedy=f"Known: {known}.")
    expected = parts.forecaster.signature().features
    if len(asked.features) != len(expected):
        raise InvalidFeatures(
            f"got {len(asked.features)} features, the model expects {len(expected)}.",
            field="features",
            remedy=f"Send, in this order: {', '.join(expected)}.",
        )
    values = dict(zip(expected, asked.features, strict=True))
    snapshot = FeatureSnapshot(asked.symbol, parts.wall.now(), values)
    with parts.metrics.forecast_secs.time():
        forecast = parts.forecaster.forecast([snapshot])[0]
    return Prediction(prediction=forecast.mean, confidence=forecast.confidence)
