"""Orders explained, health and metrics."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import TypeAdapter

from alphamill.domain.ledger import OrderTrail
from alphamill.errors import ForecasterUnavailable, Unavailable
from serving.controller.deps import WithParts
from serving.controller.problems import PROBLEMS

router = APIRouter(tags=["operations"])

#: A session is processed within a tick or two; one that waits so long never will be without help.
STUCK_SECS = 60.0


@router.get("/api/orders/{order_id}", responses=PROBLEMS, summary="Explain an order")
def explain_order(order_id: str, parts: WithParts) -> dict[str, Any]:
    """From the order back to its decision, rule results, forecast, feature values, model and data version."""
    trail = TypeAdapter(OrderTrail).dump_python(parts.ledger.explain(order_id), mode="json")
    return dict(trail)


@router.get("/healthz", summary="Is the process alive")
def alive() -> dict[str, str]:
    """Always ok while the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=PROBLEMS, summary="Can it trade")
def ready(parts: WithParts) -> dict[str, str]:
    """The ledger opens and agrees with the broker, the online store and the forecaster answer, no session waits.

    503 names what is wrong.

    `home` says whose controller this is: whoever starts one must not take another's for it.
    """
    for spec in parts.trader.specs:
        parts.ledger.load(spec)
    if differences := parts.trader.disagreements():
        raise Unavailable(
            f"ledger and broker disagree: {'; '.join(differences)}.",
            remedy="Nothing is sent until they agree; see docs/runbooks/ledger-and-broker-disagree.md.",
        )
    signature = parts.forecaster.signature()
    parts.features.read(sorted(parts.trader.symbols), signature.features)
    deployment = parts.model_server.deployment(parts.settings.model_name)
    if deployment.status != "deployed":
        raise ForecasterUnavailable(
            f"{deployment.model_id} at {deployment.url} is {deployment.status}.", remedy="Deploy it again."
        )
    if parts.trader.behind_secs > STUCK_SECS:
        raise Unavailable(
            f"a closed session has been waiting for {parts.trader.behind_secs:.0f} s: every round fails.",
            remedy="The controller's log says why.",
        )
    home = str(parts.settings.home.resolve())
    return {"status": "ready", "model": f"{signature.name}-{signature.version}", "home": home}


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def metrics(parts: WithParts) -> Response:
    """Text exposition format."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
