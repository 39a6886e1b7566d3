"""What a decision records: everything it knew and everything it wants, under an id made of its content."""

import hashlib
from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars

from alphamill.domain.decisions import Decision, Refusal
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.trading.inputs import DecisionInputs
from alphamill.trading.market import Market
from alphamill.trading.plan import EMPTY, Plan


def decision_of(
    spec: PortfolioSpec,
    record: PortfolioRecord,
    market: Market,
    source: str,
    inputs: DecisionInputs | None = None,
    plan: Plan = EMPTY,
    refusals: tuple[Refusal, ...] = (),
    target_id: str = "",
) -> Decision:
    """The decision of one portfolio at `market.ts`; the same moment and source always give the same id."""
    answer = inputs.answer if inputs else None
    content = f"{spec.name}|{market.ts.isoformat()}|{source}"
    return Decision(
        id=f"dec_{hashlib.sha256(content.encode()).hexdigest()[:24]}",
        portfolio=spec.name,
        decided_at=market.ts,
        source=source,
        state=record.state,
        data_version=market.data_version,
        model_version=answer.signature.model_id if answer else "",
        run_id=answer.signature.run_id if answer else "",
        nav_usd=record.nav_usd,
        prices=market.prices,
        snapshots=inputs.snapshots if inputs else (),
        forecasts=inputs.forecasts if inputs else (),
        signals=plan.signals,
        weights_before=market.weights(record.positions, record.nav_usd),
        target_weights=plan.target_weights,
        rules=plan.rules,
        refusals=refusals,
        orders=plan.orders,
        target_id=target_id,
        revision=record.revision,
    )


def logged_as(decision: Decision) -> AbstractContextManager[None]:
    """Every line that is logged within names the portfolio and the decision."""
    return bound_contextvars(portfolio=decision.portfolio, decision_id=decision.id)
