"""POST /api/portfolio/update: a target by hand. It goes into the ledger; the trader decides it like any decision."""

import time
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from alphamill import errors
from alphamill.domain.decisions import Decision, TradingState, Verdict
from alphamill.domain.ledger import Target, target_id
from alphamill.errors import Halted
from alphamill.trading.targets import require_valid_targets
from serving.gateway.deps import Parts, WithParts
from serving.gateway.schemas import RefusedOut, TargetDone, WeightsIn
from serving.problems import PROBLEMS

router = APIRouter(tags=["portfolio"])

POLL_SECS: Final = 0.01


@router.post(
    "/api/portfolio/update",
    responses={**PROBLEMS, 202: {"model": TargetDone, "description": "Stored; not decided in time"}},
    summary="Set target weights by hand",
)
def update_portfolio(
    target: WeightsIn,
    parts: WithParts,
    response: Response,
    portfolio: Annotated[str | None, Query(description="Name; may be left out where only one is traded.")] = None,
) -> TargetDone:
    """The weights become the target until the next scheduled decision and pass the risk rules like any decision.

    The answer waits for the trader's decision, up to `ALPHAMILL_TARGET_TIMEOUT_SECS`, and says what was refused and
    why. Without a decision by then it is 202: the target is in the ledger, and the trader will decide it.
    """
    name = parts.name(portfolio)
    record = parts.view.record(name)
    require_valid_targets(record.spec, target.weights)
    if record.state is TradingState.HALTED:
        raise Halted(f"portfolio {name} is HALTED: {record.state_reason}.", remedy="Resume it first.")
    # Named by the world's time: in a replay the clock of trading stands still between two bars.
    id_ = target_id(name, parts.wall.now(), target.weights)
    wanted = Target(id_, name, dict(target.weights), parts.clock.now(), "api")
    parts.ledger.set_target(wanted)
    parts.merging.wake_trader(name)
    decision = _awaited(parts, wanted)
    if decision is None:
        response.status_code = HTTPStatus.ACCEPTED
        waited = parts.settings.target_timeout_secs
        message = f"Stored as {wanted.id}; the trader has not decided it within {waited:g} s"
        return TargetDone(message=message)
    _raise_if_refused_whole(decision)
    return TargetDone(message="Portfolio updated successfully", decision_id=decision.id, refused=_refused(decision))


def _awaited(parts: Parts, target: Target) -> Decision | None:
    deadline = time.monotonic() + parts.settings.target_timeout_secs
    while (decision := parts.history.decision_of(target.id)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECS)
    return decision


def _raise_if_refused_whole(decision: Decision) -> None:
    """A target of which nothing could be done is an error, of the class that the trader refused it with."""
    whole = next((r for r in decision.refusals if r.symbol == "*"), None)
    if whole is not None:
        kind = errors.by_code(whole.code)
        raise kind(whole.detail, field="weights", remedy=f"Nothing was sent; the decision is {decision.id}.")


def _refused(decision: Decision) -> list[RefusedOut]:
    """What became of single symbols: left alone, denied by a rule, or made smaller."""
    alone = [RefusedOut(symbol=r.symbol, code=r.code, detail=r.detail) for r in decision.refusals]
    judged = [
        RefusedOut(symbol=r.symbol, code=r.code, detail=r.detail)
        for r in decision.rules
        if r.verdict is not Verdict.PASS
    ]
    return [*alone, *judged]
