"""Questions that reports, the CLI and the API ask of a ledger, beyond the `Ledger` port. Changes nothing."""

import datetime as dt
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl
from sqlalchemy import Connection, Row, Select, select

from alphamill.adapters.sql import statements as sql
from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.rows import to_decision, to_fill, to_order, to_record
from alphamill.adapters.sql.schema import require_schema
from alphamill.adapters.sql.tables import decisions, fills, nav_history, orders, portfolios, state_history
from alphamill.domain.bars import UTC_TS
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import NavPoint, PortfolioRecord
from alphamill.domain.orders import Fill, Order
from alphamill.errors import NotFound


@dataclass(frozen=True, slots=True)
class StateChange:
    """One change of a portfolio's trading state."""

    at: dt.datetime
    state: TradingState
    reason: str


class LedgerReader:
    """Reads a ledger while others write it; every method sees one consistent moment.

    Parameters
    ----------
    database
        SQLAlchemy URL of an existing ledger, or `SqlLedger.reader` for one that is open.

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

    def close(self) -> None:
        self._database.close()

    def portfolios(self) -> list[PortfolioRecord]:
        """Every portfolio's record, by name."""
        with self._database.read() as connection:
            rows = connection.execute(select(portfolios).order_by(portfolios.c.name)).all()
            return [
                to_record(
                    row,
                    connection.execute(sql.POSITIONS, {"portfolio": row.name}).all(),
                    connection.execute(sql.OPEN_ORDERS, {"portfolio": row.name}).all(),
                )
                for row in rows
            ]

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

    def orders(self, portfolio: str) -> list[Order]:
        """Orders as they stand, in the order they were decided."""
        with self._database.read() as connection:
            rows = connection.execute(select(orders).where(orders.c.portfolio == portfolio).order_by(orders.c.seq))
            return [to_order(row) for row in rows]

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

    def state_history(self, portfolio: str) -> list[StateChange]:
        """Changes of state, oldest first."""
        query = select(state_history).where(state_history.c.portfolio == portfolio).order_by(state_history.c.seq)
        with self._database.read() as connection:
            return [StateChange(row.at, TradingState(row.state), row.reason) for row in connection.execute(query)]


def _orders_of(connection: Connection, query: Select[Any]) -> dict[str, list[Row[Any]]]:
    """Orders of the decisions a query selects, by decision id: one more query instead of one per decision."""
    wanted = query.with_only_columns(decisions.c.id).subquery()
    rows = connection.execute(
        select(orders).join(wanted, orders.c.decision_id == wanted.c.id).order_by(orders.c.decision_id, orders.c.seq)
    ).all()
    return {decision_id: list(group) for decision_id, group in groupby(rows, key=lambda row: str(row.decision_id))}
