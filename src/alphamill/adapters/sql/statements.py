"""The ledger's statements, built once: SQLAlchemy compiles each a single time per process."""

from sqlalchemy import Update, bindparam, case, delete, func, insert, or_, select, update

from alphamill.adapters.sql.tables import (
    cash_entries,
    decisions,
    fills,
    leases,
    nav_history,
    orders,
    portfolios,
    positions,
    spec_changes,
    state_history,
    targets,
)
from alphamill.domain.orders import OrderStatus

# Spelled out instead of IN (...): SQLAlchemy expands an IN at every execution, databases plan both alike.
_IS_OPEN = or_(*(orders.c.status == status.value for status in OrderStatus if not status.is_final))

PORTFOLIO = select(portfolios).where(portfolios.c.name == bindparam("portfolio"))
#: PostgreSQL locks the row against a second writer; SQLite has the whole file locked already.
PORTFOLIO_FOR_UPDATE = PORTFOLIO.with_for_update()
POSITIONS = select(positions).where(positions.c.portfolio == bindparam("portfolio")).order_by(positions.c.symbol)
OPEN_ORDERS = select(orders).where(orders.c.portfolio == bindparam("portfolio"), _IS_OPEN).order_by(orders.c.seq)
DECISION = select(decisions).where(decisions.c.id == bindparam("decision_id"))
DECISION_ORDERS = select(orders).where(orders.c.decision_id == bindparam("decision_id")).order_by(orders.c.seq)
ORDER = select(orders).where(orders.c.id == bindparam("order_id"))
ORDER_FILLS = select(fills).where(fills.c.order_id == bindparam("order_id")).order_by(fills.c.seq)
ORDERS_BY_ID = select(orders).where(orders.c.id.in_(bindparam("ids", expanding=True)))
FILLS_BY_ID = select(fills).where(fills.c.id.in_(bindparam("ids", expanding=True)))

ENTRIES_BY_ID = select(cash_entries.c.id).where(cash_entries.c.id.in_(bindparam("ids", expanding=True)))
ENTRIES_OF = (
    select(cash_entries)
    .where(
        cash_entries.c.portfolio == bindparam("portfolio"),
        cash_entries.c.symbol == bindparam("symbol"),
        cash_entries.c.at >= bindparam("since", type_=cash_entries.c.at.type),
    )
    .order_by(cash_entries.c.seq)
)
NEWEST_TARGET = (
    select(targets).where(targets.c.portfolio == bindparam("portfolio")).order_by(targets.c.seq.desc()).limit(1)
)
TARGET = select(targets.c.id).where(targets.c.id == bindparam("target_id"))
DECISION_OF = (
    select(decisions).where(decisions.c.target_id == bindparam("target_id")).order_by(decisions.c.seq).limit(1)
)
#: None while no lease was ever granted.
HIGHEST_TOKEN = select(func.max(leases.c.token))

INSERT_PORTFOLIO = insert(portfolios)
INSERT_DECISION = insert(decisions)
INSERT_ORDERS = insert(orders)
INSERT_FILLS = insert(fills)
INSERT_POSITIONS = insert(positions)
INSERT_NAV = insert(nav_history)
INSERT_STATE = insert(state_history)
INSERT_SPEC_CHANGE = insert(spec_changes)
INSERT_ENTRIES = insert(cash_entries)
INSERT_TARGET = insert(targets)
DELETE_POSITIONS = delete(positions).where(positions.c.portfolio == bindparam("of_portfolio"))

UPDATE_NAV = (
    update(nav_history)
    .where(nav_history.c.portfolio == bindparam("of_portfolio"), nav_history.c.at == bindparam("point"))
    .values(nav_usd=bindparam("nav_usd"), cash_usd=bindparam("cash_usd"))
)

#: Matches an order that may take this status: a final one never becomes anything else.
UPDATE_ORDERS = (
    update(orders)
    .where(
        orders.c.id == bindparam("order_id"),
        orders.c.portfolio == bindparam("of_portfolio"),
        or_(_IS_OPEN, orders.c.status == bindparam("new_status")),
    )
    .values(
        status=bindparam("new_status"),
        current_quantity=bindparam("now_quantity"),
        filled_quantity=bindparam("filled"),
        detail=bindparam("new_detail"),
    )
)


def _update_portfolio(*columns: str) -> Update:
    return (
        update(portfolios)
        .where(portfolios.c.name == bindparam("of_portfolio"))
        .values({name: bindparam(f"new_{name}") for name in columns})
    )


UPDATE_SPEC = _update_portfolio("spec")
UPDATE_STATE = _update_portfolio("state", "state_reason", "state_changed_at", "peak_nav_usd")
_SETTLED = ("cash_usd", "nav_usd", "peak_nav_usd", "last_settled_at", "last_fill_id", "awaited", "bars_version")
UPDATE_SETTLED = _update_portfolio(*_SETTLED).values(revision=portfolios.c.revision + 1)

_decided_at = bindparam("decided_at", type_=portfolios.c.last_decision_at.type)
_model_version = bindparam("model_version", type_=portfolios.c.model_version.type)

_is_later = or_(portfolios.c.last_decision_at.is_(None), portfolios.c.last_decision_at <= _decided_at)

#: Forward only, and a decision that asked no model leaves the last model's version standing.
UPDATE_DECIDED = (
    update(portfolios)
    .where(portfolios.c.name == bindparam("of_portfolio"))
    .values(
        revision=portfolios.c.revision + 1,
        last_decision_at=case((_is_later, _decided_at), else_=portfolios.c.last_decision_at),
        model_version=case((_is_later & (_model_version != ""), _model_version), else_=portfolios.c.model_version),
    )
)
