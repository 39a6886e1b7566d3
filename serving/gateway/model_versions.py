"""GET /api/model/{model_id}: one registered model."""

import re

from fastapi import APIRouter

from alphamill.errors import NotFound
from serving.gateway.deps import Parts, WithParts
from serving.gateway.schemas import ModelOut
from serving.problems import PROBLEMS

router = APIRouter(tags=["model"])
MODEL_ID = re.compile(r"(.+)-([1-9][0-9]{0,8})")


@router.get("/api/model/{model_id}", responses=PROBLEMS, summary="Status of a model version")
def model(model_id: str, parts: WithParts) -> ModelOut:
    """`model_id` is '<name>-<version>', e.g. forecaster-1."""
    found = MODEL_ID.fullmatch(model_id)
    if not found:
        raise NotFound(f"no model {model_id!r}.", field="model_id", remedy="An id looks like forecaster-1.")
    name, number = found.groups()
    version = parts.registry.get(name, number)
    deployed = _deployed_id(parts, name) == version.id
    status = "deployed" if deployed else "registered"
    return ModelOut(model_id=version.id, status=status, last_updated=version.updated_at.date())


def _deployed_id(parts: Parts, service: str) -> str | None:
    try:
        return parts.model_server.deployment(service).model_id
    except NotFound:
        return None
