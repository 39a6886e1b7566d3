"""Portfolios: how they stand, and the state that a person gives them. All of it is in the ledger."""

from fastapi import APIRouter

from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from serving.gateway.deps import Parts, WithParts
from serving.gateway.schemas import PortfolioOut, PositionOut, StateIn, TradabilityOut
from serving.problems import PROBLEMS

router = APIRouter(tags=["portfolio"])


@router.get("/api/portfolios", summary="All portfolios")
def portfolios(parts: WithParts) -> list[PortfolioOut]:
    """State, NAV, positions of every portfolio that the ledger knows, and whether it can trade."""
    return [_show(parts, record) for record in parts.view.records()]


@router.get("/api/portfolios/{name}", responses=PROBLEMS, summary="One portfolio")
def portfolio(name: str, parts: WithParts) -> PortfolioOut:
    """State, NAV, positions, and whether it can trade."""
    return _show(parts, parts.view.record(name))


@router.post("/api/portfolios/{name}/halt", responses=PROBLEMS, summary="Send nothing any more")
def halt(name: str, why: StateIn, parts: WithParts) -> PortfolioOut:
    """Lands in the ledger, whatever else is down. The trader cancels open orders and sends nothing until resumed."""
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
    parts.ledger.set_state(name, state, reason, parts.wall.now())
    parts.merging.wake_trader(name)
    return _show(parts, parts.view.record(name))


def _show(parts: Parts, record: PortfolioRecord) -> PortfolioOut:
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
        tradability=TradabilityOut.of(parts.board.read(record.name), parts.wall.now()),
        positions=[
            PositionOut(symbol=p.symbol, quantity=str(p.quantity), average_price_usd=str(p.average_price))
            for p in record.positions.values()
            if p.quantity
        ],
    )
