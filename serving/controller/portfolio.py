"""Portfolios: their targets, their state, and the orders explained."""

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query

from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from serving.controller.deps import Parts, WithParts
from serving.controller.models import Done, PortfolioOut, PositionOut, StateIn, WeightsIn
from serving.controller.problems import PROBLEMS

router = APIRouter(tags=["portfolio"])


@router.post("/api/portfolio/update", responses=PROBLEMS, summary="Set target weights by hand")
def update_portfolio(
    target: WeightsIn,
    parts: WithParts,
    portfolio: Annotated[str | None, Query(description="Name; the first configured portfolio if left out.")] = None,
) -> Done:
    """The weights become the target until the next scheduled decision and pass the risk rules like any decision."""
    parts.engine.update_target(portfolio, target.weights)
    return Done(message="Portfolio updated successfully")


@router.get("/api/portfolios", summary="All portfolios")
def portfolios(parts: WithParts) -> list[PortfolioOut]:
    """State, NAV, positions of every portfolio this process trades."""
    return [_show(parts.ledger.record(spec.name)) for spec in parts.trader.specs]


@router.get("/api/portfolios/{name}", responses=PROBLEMS, summary="One portfolio")
def portfolio(name: str, parts: WithParts) -> PortfolioOut:
    """State, NAV, positions."""
    return _show(parts.ledger.record(parts.trader.portfolio(name).spec.name))


@router.post("/api/portfolios/{name}/halt", responses=PROBLEMS, summary="Send nothing any more")
def halt(name: str, why: StateIn, parts: WithParts) -> PortfolioOut:
    """Cancels open orders and sends nothing until resumed; survives a restart."""
    return _set_state(parts, name, TradingState.HALTED, why.reason)


@router.post("/api/portfolios/{name}/reduce", responses=PROBLEMS, summary="Never raise exposure")
def reduce(name: str, why: StateIn, parts: WithParts) -> PortfolioOut:
    """Only orders that lower exposure are sent until resumed."""
    return _set_state(parts, name, TradingState.REDUCING, why.reason)


@router.post("/api/portfolios/{name}/resume", responses=PROBLEMS, summary="Trade again")
def resume(name: str, why: StateIn, parts: WithParts) -> PortfolioOut:
    """Back to ACTIVE."""
    return _set_state(parts, name, TradingState.ACTIVE, why.reason)


def _set_state(parts: Parts, name: str, state: TradingState, reason: str) -> PortfolioOut:
    spec = parts.trader.portfolio(name).spec
    parts.ledger.record(spec.name)
    parts.ledger.set_state(spec.name, state, reason, dt.datetime.now(dt.UTC))
    parts.engine.wake()
    return _show(parts.ledger.record(spec.name))


def _show(record: PortfolioRecord) -> PortfolioOut:
    drawdown = 100 * (1 - record.nav_usd / record.peak_nav_usd) if record.peak_nav_usd else 0
    return PortfolioOut(
        name=record.name,
        state=record.state.value,
        state_reason=record.state_reason,
        nav_usd=str(record.nav_usd),
        cash_usd=str(record.cash_usd),
        drawdown_pct=round(float(drawdown), 6),
        last_settled_at=record.last_settled_at,
        last_decision_at=record.last_decision_at,
        model_version=record.model_version,
        open_orders=len(record.open_orders),
        positions=[
            PositionOut(symbol=p.symbol, quantity=str(p.quantity), average_price_usd=str(p.average_price))
            for p in record.positions.values()
            if p.quantity
        ],
    )
