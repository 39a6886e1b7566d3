"""How one settlement is written, inside the caller's transaction."""

import datetime as dt
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from alphamill.adapters.sql import statements as sql
from alphamill.adapters.sql.rows import entry_row, fill_row, to_fill
from alphamill.domain.ledger import Settlement
from alphamill.domain.orders import Fill
from alphamill.errors import Conflict, NotFound


def write_settlement(connection: Connection, row: Row[Any], settlement: Settlement) -> None:
    """Write all of it; `row` is the portfolio as it stands, locked. Raises as `SqlLedger.settle` says."""
    _require_order(row.last_settled_at, settlement)
    _update_orders(connection, settlement)
    last_fill_id = _insert_fills(connection, settlement) or row.last_fill_id
    _insert_entries(connection, settlement)
    _replace_positions(connection, settlement)
    _write_balance(connection, row, settlement, last_fill_id)


def _replace_positions(connection: Connection, settlement: Settlement) -> None:
    name = settlement.portfolio
    connection.execute(sql.DELETE_POSITIONS, {"of_portfolio": name})
    held = [
        {
            "portfolio": name,
            "symbol": p.symbol,
            "quantity": p.quantity,
            "average_price": p.average_price,
            "extreme_price": p.extreme_price,
        }
        for p in settlement.positions
        if p.quantity
    ]
    if held:
        connection.execute(sql.INSERT_POSITIONS, held)


def _require_order(last_settled_at: dt.datetime | None, settlement: Settlement) -> None:
    if last_settled_at is not None and settlement.at < last_settled_at:
        raise Conflict(
            f"settlement of {settlement.at.isoformat()} comes after that of {last_settled_at.isoformat()}.",
            field="at",
            remedy="Settle sessions in order: cash and positions are what stands after the last one.",
        )


def _update_orders(connection: Connection, settlement: Settlement) -> None:
    if not settlement.orders:
        return
    rows = [
        {
            "order_id": o.id,
            "of_portfolio": settlement.portfolio,
            "new_status": o.status.value,
            "now_quantity": o.quantity,
            "filled": o.filled_quantity,
            "new_detail": o.detail,
        }
        for o in settlement.orders
    ]
    if connection.dialect.supports_sane_multi_rowcount:
        changed = connection.execute(sql.UPDATE_ORDERS, rows).rowcount
    else:  # this driver counts the rows of single statements only
        changed = sum(connection.execute(sql.UPDATE_ORDERS, row).rowcount for row in rows)
    if changed == len(rows):
        return
    known = {r.id: r for r in connection.execute(sql.ORDERS_BY_ID, {"ids": [o.id for o in settlement.orders]})}
    for order in settlement.orders:
        row = known.get(order.id)
        if row is None or row.portfolio != settlement.portfolio:
            raise NotFound(f"no order {order.id!r} in portfolio {settlement.portfolio!r}.")
        if row.status != order.status.value:
            raise Conflict(f"order {order.id} is {row.status} and cannot become {order.status}.")


def _insert_fills(connection: Connection, settlement: Settlement) -> str | None:
    """Insert what is new; the id of the last new fill."""
    fills = {fill.id: fill for fill in settlement.fills}
    if not fills:
        return None
    for row in connection.execute(sql.FILLS_BY_ID, {"ids": list(fills)}):
        _require_same(to_fill(row), fills.pop(row.id))
    if not fills:
        return None
    try:
        connection.execute(sql.INSERT_FILLS, [fill_row(fill, settlement.portfolio) for fill in fills.values()])
    except IntegrityError as error:
        orders = ", ".join(sorted({fill.order_id for fill in fills.values()}))
        raise NotFound(f"a fill names an order that is not in the ledger, among {orders}.", field="fills") from error
    return next(reversed(fills))


def _insert_entries(connection: Connection, settlement: Settlement) -> None:
    """Those that are new: a session that is settled again books its dividends once."""
    entries = {entry.id: entry for entry in settlement.entries}
    if not entries:
        return
    for row in connection.execute(sql.ENTRIES_BY_ID, {"ids": list(entries)}):
        del entries[row.id]
    if entries:
        connection.execute(sql.INSERT_ENTRIES, [entry_row(entry, settlement.portfolio) for entry in entries.values()])


def _require_same(known: Fill, fill: Fill) -> None:
    if known != fill:
        raise Conflict(f"fill {fill.id} is already recorded with other content.", field="fills")


def _write_balance(connection: Connection, row: Row[Any], settlement: Settlement, last_fill_id: str | None) -> None:
    nav, settled_at = settlement.nav, row.last_settled_at
    if nav is not None:
        point = {"nav_usd": nav.nav_usd, "cash_usd": nav.cash_usd}
        if settled_at == nav.at:
            connection.execute(sql.UPDATE_NAV, {"of_portfolio": settlement.portfolio, "point": nav.at, **point})
        else:
            connection.execute(sql.INSERT_NAV, {"portfolio": settlement.portfolio, "at": nav.at, **point})
        settled_at = nav.at
    nav_usd = row.nav_usd if nav is None else nav.nav_usd
    connection.execute(
        sql.UPDATE_SETTLED,
        {
            "of_portfolio": settlement.portfolio,
            "new_cash_usd": settlement.cash_usd,
            "new_nav_usd": nav_usd,
            "new_peak_nav_usd": max(row.peak_nav_usd, nav_usd),
            "new_last_settled_at": settled_at,
            "new_last_fill_id": last_fill_id,
            "new_awaited": row.awaited if nav is None else list(settlement.awaited),
            "new_bars_version": row.bars_version if nav is None else settlement.bars_version,
        },
    )
