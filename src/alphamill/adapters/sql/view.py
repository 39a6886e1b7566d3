"""`LedgerView` and `LedgerHistory` on a relational database. Changes nothing."""

import datetime as dt
from itertools import groupby
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, Select, select

from alphamill.adapters.sql import statements as sql
from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.rows import to_decision, to_entry, to_fill, to_order, to_record, to_target
from alphamill.adapters.sql.schema import require_schema
from alphamill.adapters.sql.tables import (
    cash_entries,
    decisions,
    fills,
    nav_history,
    orders,
    portfolios,
    spec_changes,
    state_history,
)
from alphamill.domain.bars import UTC_TS
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import (
    CashEntry,
    NavPoint,
    OrderTrail,
    PortfolioRecord,
    SpecChange,
    StateChange,
    Target,
)
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import NotFound


class SqlLedgerView:
    """Reads a ledger while others write it; every method sees one consistent moment.

    Parameters
    ----------
    database
        SQLAlchemy URL of an existing ledger.

    Raises
    ------
    StoreUnavailable
        No such database, another schema version, or a damaged row.
    """

    def __init__(self, database: str | Database) -> None:
        if isinstance(database, str):
            self._database = Database(database, create=False)
            require_schema(self._database)
        else:
            self._database = database
        self._specs: dict[str, tuple[dict[str, Any], PortfolioSpec]] = {}

    def close(self) -> None:
        self._database.close()

    def record(self, portfolio: str) -> PortfolioRecord:
        with self._database.read() as connection:
            row = connection.execute(sql.PORTFOLIO, {"portfolio": portfolio}).one_or_none()
            if row is None:
                raise self._unknown(connection, portfolio)
            return self._record(connection, row)

    def records(self) -> list[PortfolioRecord]:
        """Every portfolio's record, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(portfolios).order_by(portfolios.c.name)).all()
            return [self._record(connection, row) for row in rows]

    def orders(self, portfolio: str) -> list[Order]:
        """Orders as they stand, in the order they were decided."""
        with self._database.read() as connection:
            rows = connection.execute(select(orders).where(orders.c.portfolio == portfolio).order_by(orders.c.seq))
            return [to_order(row) for row in rows]

    def trail(self, order_id: str) -> OrderTrail:
        """The order as it stands, its fills, its decision as committed, and cash its symbol brought since then."""
        with self._database.read() as connection:
            order = connection.execute(sql.ORDER, {"order_id": order_id}).one_or_none()
            if order is None:
                raise NotFound(
                    f"no order {order_id!r} in {self._database.name}.",
                    field="order_id",
                    remedy="`alphamill portfolio orders` lists them; ALPHAMILL_HOME says whose.",
                )
            told = connection.execute(sql.ORDER_FILLS, {"order_id": order_id}).all()
            since = {"portfolio": order.portfolio, "symbol": order.symbol, "since": order.decided_at}
            entries = connection.execute(sql.ENTRIES_OF, since).all()
            decision = decision_with_id(connection, order.decision_id)
            if decision is None:
                raise ValueError(f"order {order_id} without its decision {order.decision_id}")
            return OrderTrail(to_order(order), tuple(map(to_fill, told)), decision, tuple(map(to_entry, entries)))

    def pending_target(self, portfolio: str) -> Target | None:
        """The newest target, unless a decision has answered it."""
        with self._database.read() as connection:
            row = connection.execute(sql.NEWEST_TARGET, {"portfolio": portfolio}).one_or_none()
            if row is None or connection.execute(sql.DECISION_OF, {"target_id": row.id}).one_or_none() is not None:
                return None
            return to_target(row)

    def decisions(
        self, portfolio: str, *, limit: int | None = None, after: str | None = None, newest_first: bool = False
    ) -> list[Decision]:
        """Decisions as committed, in the order they were made; `after` is the id of the last one already seen.

        Raises
        ------
        NotFound
            There is no decision `after`.
        """
        with self._database.read() as connection:
            query = select(decisions).where(decisions.c.portfolio == portfolio)
            if after is not None:
                seen = connection.execute(sql.DECISION, {"decision_id": after}).one_or_none()
                if seen is None:
                    raise NotFound(f"no decision {after!r} in {self._database.name}.", field="after")
                query = query.where(decisions.c.seq < seen.seq if newest_first else decisions.c.seq > seen.seq)
            query = query.order_by(decisions.c.seq.desc() if newest_first else decisions.c.seq).limit(limit)
            rows = connection.execute(query).all()
            by_decision = _orders_of(connection, query)
            return [to_decision(row, by_decision.get(row.id, [])) for row in rows]

    def decision_of(self, target_id: str) -> Decision | None:
        """The decision that answered a target."""
        with self._database.read() as connection:
            row = connection.execute(sql.DECISION_OF, {"target_id": target_id}).one_or_none()
            if row is None:
                return None
            return to_decision(row, connection.execute(sql.DECISION_ORDERS, {"decision_id": row.id}).all())

    def fills(self, portfolio: str) -> list[Fill]:
        """Fills in the order they were settled."""
        with self._database.read() as connection:
            rows = connection.execute(select(fills).where(fills.c.portfolio == portfolio).order_by(fills.c.seq))
            return [to_fill(row) for row in rows]

    def nav_points(self, portfolio: str) -> list[NavPoint]:
        """Exact NAV and cash at each settled close, oldest first."""
        with self._database.read() as connection:
            query = select(nav_history).where(nav_history.c.portfolio == portfolio).order_by(nav_history.c.at)
            return [NavPoint(row.at, row.nav_usd, row.cash_usd) for row in connection.execute(query)]

    def changes(self, portfolio: str) -> list[StateChange | SpecChange | CashEntry]:
        """Changes of state and spec, and cash that moved without a trade, by time."""
        with self._database.read() as connection:

            def rows(table: Any) -> list[Row[Any]]:
                return list(
                    connection.execute(select(table).where(table.c.portfolio == portfolio).order_by(table.c.seq))
                )

            states = [StateChange(row.at, TradingState(row.state), row.reason) for row in rows(state_history)]
            specs = [
                SpecChange(row.at, {field: (old, new) for field, (old, new) in row.difference.items()})
                for row in rows(spec_changes)
            ]
            return sorted([*states, *specs, *map(to_entry, rows(cash_entries))], key=_moment)

    def nav(self, portfolio: str) -> pl.DataFrame:
        """For charts: `at`, `nav_usd`, `cash_usd` as Float64, one row per settled close. No nulls."""
        rows = [(p.at, float(p.nav_usd), float(p.cash_usd)) for p in self.nav_points(portfolio)]
        return pl.DataFrame(rows, schema={"at": UTC_TS, "nav_usd": pl.Float64, "cash_usd": pl.Float64}, orient="row")

    def weights(self, portfolio: str) -> pl.DataFrame:
        """Target weights (fractions of NAV) as they left the risk rules: `at`, `symbol`, `weight`. No nulls."""
        query = (
            select(decisions.c.decided_at, decisions.c.target_weights)
            .where(decisions.c.portfolio == portfolio)
            .order_by(decisions.c.seq)
        )
        with self._database.read() as connection:
            rows = [
                (row.decided_at, symbol, float(weight))
                for row in connection.execute(query)
                for symbol, weight in row.target_weights.items()
            ]
        return pl.DataFrame(rows, schema={"at": UTC_TS, "symbol": pl.String, "weight": pl.Float64}, orient="row")

    def _record(self, connection: Connection, row: Row[Any]) -> PortfolioRecord:
        held = connection.execute(sql.POSITIONS, {"portfolio": row.name}).all()
        waiting = connection.execute(sql.OPEN_ORDERS, {"portfolio": row.name}).all()
        return to_record(row, self._spec(row), held, waiting)

    def _spec(self, row: Row[Any]) -> PortfolioSpec:
        """Read from its document once, for as long as that stays the same."""
        known = self._specs.get(row.name)
        if known is None or known[0] != row.spec:
            known = self._specs[row.name] = row.spec, PortfolioSpec.model_validate(row.spec)
        return known[1]

    def _unknown(self, connection: Connection, portfolio: str) -> NotFound:
        names = connection.execute(select(portfolios.c.name).order_by(portfolios.c.name)).scalars().all()
        return NotFound(
            f"no portfolio {portfolio!r} in the ledger.",
            field="portfolio",
            remedy=f"There are: {', '.join(names) or 'none'}. A trader registers its portfolios when it starts.",
        )


def decision_with_id(connection: Connection, decision_id: str) -> Decision | None:
    """As committed; None for an unknown id."""
    row = connection.execute(sql.DECISION, {"decision_id": decision_id}).one_or_none()
    if row is None:
        return None
    return to_decision(row, connection.execute(sql.DECISION_ORDERS, {"decision_id": decision_id}).all())


def _moment(change: StateChange | SpecChange | CashEntry) -> dt.datetime:
    return change.at


def _orders_of(connection: Connection, query: Select[Any]) -> dict[str, list[Row[Any]]]:
    """Orders of the decisions a query selects, by decision id: one more query instead of one per decision."""
    wanted = query.with_only_columns(decisions.c.id).subquery()
    rows = connection.execute(
        select(orders).join(wanted, orders.c.decision_id == wanted.c.id).order_by(orders.c.decision_id, orders.c.seq)
    ).all()
    return {decision_id: list(group) for decision_id, group in groupby(rows, key=lambda row: str(row.decision_id))}
