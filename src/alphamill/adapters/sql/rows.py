"""Domain types as rows and back: what comes out equals what went in."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from alphamill.domain.decisions import Decision, Refusal, RuleResult, Signal, TradingState, Verdict
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast
from alphamill.domain.ledger import CashEntry, CashKind, PortfolioRecord, Target
from alphamill.domain.orders import Fill, Order, OrderStatus, Position, Side
from alphamill.domain.portfolios import PortfolioSpec

Values = dict[str, Any]


def decision_row(decision: Decision) -> Values:
    """The JSON columns take dataclasses as they are; the engine's serializer writes them."""
    return {
        "id": decision.id,
        "portfolio": decision.portfolio,
        "decided_at": decision.decided_at,
        "source": decision.source,
        "state": decision.state.value,
        "data_version": decision.data_version,
        "model_version": decision.model_version,
        "run_id": decision.run_id,
        "nav_usd": decision.nav_usd,
        "prices": decision.prices,
        "snapshots": decision.snapshots,
        "forecasts": decision.forecasts,
        "signals": decision.signals,
        "weights_before": decision.weights_before,
        "target_weights": decision.target_weights,
        "rules": decision.rules,
        "refusals": decision.refusals,
        "target_id": decision.target_id,
        "revision": decision.revision,
    }


def order_row(order: Order, decision_id: str) -> Values:
    return {
        "id": order.id,
        "decision_id": decision_id,
        "portfolio": order.portfolio,
        "decided_at": order.decided_at,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": order.quantity,
        "reference_price": order.reference_price,
        "reason": order.reason,
        "committed_detail": order.detail,
        "status": order.status.value,
        "filled_quantity": order.filled_quantity,
        "detail": order.detail,
    }


def fill_row(fill: Fill, portfolio: str) -> Values:
    return {
        "id": fill.id,
        "order_id": fill.order_id,
        "portfolio": portfolio,
        "symbol": fill.symbol,
        "side": fill.side.value,
        "quantity": fill.quantity,
        "price": fill.price,
        "commission_usd": fill.commission_usd,
        "filled_at": fill.filled_at,
    }


def to_decision(row: Row[Any], orders: Sequence[Row[Any]]) -> Decision:
    """The decision as it was committed: its orders PENDING, whatever became of them since."""
    return Decision(
        id=row.id,
        portfolio=row.portfolio,
        decided_at=row.decided_at,
        source=row.source,
        state=TradingState(row.state),
        data_version=row.data_version,
        model_version=row.model_version,
        run_id=row.run_id,
        nav_usd=row.nav_usd,
        prices={symbol: Decimal(digits) for symbol, digits in row.prices.items()},
        snapshots=tuple(FeatureSnapshot(s["symbol"], _time(s["ts"]), s["values"]) for s in row.snapshots),
        forecasts=tuple(Forecast(**{**f, "ts": _time(f["ts"])}) for f in row.forecasts),
        signals={symbol: Signal(name) for symbol, name in row.signals.items()},
        weights_before=row.weights_before,
        target_weights=row.target_weights,
        rules=tuple(RuleResult(**{**r, "verdict": Verdict(r["verdict"])}) for r in row.rules),
        refusals=tuple(Refusal(**r) for r in row.refusals),
        orders=tuple(_committed_order(order) for order in orders),
        target_id=row.target_id,
        revision=row.revision,
    )


def to_order(row: Row[Any]) -> Order:
    """The order as it stands now."""
    return Order(
        id=row.id,
        portfolio=row.portfolio,
        decided_at=row.decided_at,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity if row.current_quantity is None else row.current_quantity,
        reference_price=row.reference_price,
        reason=row.reason,
        status=OrderStatus(row.status),
        filled_quantity=row.filled_quantity,
        detail=row.detail,
    )


def to_fill(row: Row[Any]) -> Fill:
    return Fill(
        id=row.id,
        order_id=row.order_id,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        price=row.price,
        commission_usd=row.commission_usd,
        filled_at=row.filled_at,
    )


def entry_row(entry: CashEntry, portfolio: str) -> Values:
    return {
        "id": entry.id,
        "portfolio": portfolio,
        "symbol": entry.symbol,
        "kind": entry.kind.value,
        "at": entry.at,
        "quantity": entry.quantity,
        "amount_usd": entry.amount_usd,
        "detail": entry.detail,
    }


def to_entry(row: Row[Any]) -> CashEntry:
    return CashEntry(row.id, row.symbol, CashKind(row.kind), row.at, row.quantity, row.amount_usd, row.detail)


def to_target(row: Row[Any]) -> Target:
    return Target(row.id, row.portfolio, row.weights, row.at, row.requested_by)


def to_record(
    row: Row[Any], spec: PortfolioSpec, positions: Sequence[Row[Any]], open_orders: Sequence[Row[Any]]
) -> PortfolioRecord:
    return PortfolioRecord(
        name=row.name,
        state=TradingState(row.state),
        state_reason=row.state_reason,
        cash_usd=row.cash_usd,
        positions={p.symbol: Position(p.symbol, p.quantity, p.average_price, p.extreme_price) for p in positions},
        open_orders=tuple(to_order(order) for order in open_orders),
        nav_usd=row.nav_usd,
        peak_nav_usd=row.peak_nav_usd,
        last_settled_at=row.last_settled_at,
        last_decision_at=row.last_decision_at,
        last_fill_id=row.last_fill_id,
        model_version=row.model_version,
        spec=spec,
        revision=row.revision,
        bars_version=row.bars_version,
        state_since=row.state_changed_at,
        awaited=tuple(row.awaited or ()),
    )


def _committed_order(row: Row[Any]) -> Order:
    return Order(
        id=row.id,
        portfolio=row.portfolio,
        decided_at=row.decided_at,
        symbol=row.symbol,
        side=Side(row.side),
        quantity=row.quantity,
        reference_price=row.reference_price,
        reason=row.reason,
        detail=row.committed_detail,
    )


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
