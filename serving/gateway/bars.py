"""POST /api/data: one bar in."""

import polars as pl
from fastapi import APIRouter

from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.errors import AlphamillError, InvalidBar
from serving.gateway.deps import WithParts
from serving.gateway.schemas import BarIn, Done
from serving.problems import PROBLEMS

router = APIRouter(tags=["data"])


@router.post("/api/data", responses=PROBLEMS, summary="Store one bar")
def store_bar(bar: BarIn, parts: WithParts) -> Done:
    """Validate the bar and make it durable. The same bar again changes nothing; another value corrects it."""
    row = bar.model_dump()
    row["session"] = row.pop("date")
    parts.metrics.bars_received.labels("api").inc()
    try:
        parts.door.accept(pl.DataFrame([row], schema=RAW_BAR_SCHEMA))
    except AlphamillError as error:
        parts.metrics.bars_refused.labels(error.code).inc()
        if isinstance(error, InvalidBar) and error.rule:
            parts.metrics.on_quarantined({error.rule: 1})
        raise
    parts.merging.wake()
    return Done(message="Data stored successfully")
