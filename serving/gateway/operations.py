"""Orders explained, health and metrics."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import TypeAdapter

from alphamill.domain.ledger import OrderTrail
from serving.gateway.deps import WithParts
from serving.problems import PROBLEMS

router = APIRouter(tags=["operations"])


@router.get("/api/orders/{order_id}", responses=PROBLEMS, summary="Explain an order")
def explain_order(order_id: str, parts: WithParts) -> dict[str, Any]:
    """From the order back to its decision, rule results, forecast, feature values, model and data version."""
    trail = TypeAdapter(OrderTrail).dump_python(parts.view.trail(order_id), mode="json")
    return dict(trail)


@router.get("/healthz", summary="Is the process alive")
def alive() -> dict[str, str]:
    """Always ok while the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=PROBLEMS, summary="Can it serve requests")
def ready(parts: WithParts) -> dict[str, str]:
    """The ledger opens: bars, targets and halts can be taken. 503 says why not.

    Whether a portfolio can trade is said of each portfolio, at /api/portfolios: a gateway that is taken out of service
    because a broker is slow would take the halt with it. `home` says whose gateway this is: whoever starts one must not
    take another's for it.
    """
    parts.view.records()
    return {"status": "ready", "home": str(parts.settings.home.resolve())}


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(parts: WithParts) -> Response:
    """Text exposition format. What is counted at decisions is counted by the trader."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
