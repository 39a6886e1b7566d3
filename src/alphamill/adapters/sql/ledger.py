"""`Ledger` on a relational database: SQLite in a file, SQLite in memory for backtests, or PostgreSQL."""

import datetime as dt
from typing import Any

import orjson
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from alphamill.adapters.sql import statements as sql
from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.reader import LedgerReader
from alphamill.adapters.sql.rows import decision_row, order_row, to_decision, to_fill, to_order, to_record
from alphamill.adapters.sql.schema import ensure_schema
from alphamill.adapters.sql.settling import write_settlement
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import OrderTrail, PortfolioRecord, Settlement
from alphamill.domain.ledger_rules import check_decision, check_settlement, require_zone
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import Conflict, NotFound


class SqlLedger:
    """The truth about decisions, orders, fills and state. Each write is one transaction.

    Parameters
    ----------
    url
        SQLAlchemy URL. A SQLite file and its folder are made when missing, and the schema is brought up to
        date. ``sqlite://`` is a ledger in memory that ends with this object.

    Raises
    ------
    StoreUnavailable
        From every method: the database is locked, full, damaged or gone. The message names it and the remedy.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._documents: dict[str, tuple[PortfolioSpec, dict[str, Any]]] = {}
        ensure_schema(self._database)

    @property
    def reader(self) -> LedgerReader:
        """Queries over this ledger; the only way to read one in memory."""
        return LedgerReader(self._database)

    def close(self) -> None:
        self._database.close()

    def load(self, spec: PortfolioSpec) -> PortfolioRecord:
        """The portfolio's record; created ACTIVE with its initial cash when unknown. Stores a changed spec."""
        document = self._document(spec)
        with self._database.read() as connection:
            row = connection.execute(sql.PORTFOLIO, {"portfolio": spec.name}).one_or_none()
            if row is not None and row.spec == document:
                return _record(connection, row)
        try:
            with self._database.write() as connection:
                _write_spec(connection, spec, document)
        except IntegrityError:
            pass  # another process created it between our question and our answer: its row is read below
        with self._database.read() as connection:
            return _record(connection, connection.execute(sql.PORTFOLIO, {"portfolio": spec.name}).one())

    def _document(self, spec: PortfolioSpec) -> dict[str, Any]:
        """The spec as the database keeps it; made once for each object, which cannot change."""
        known = self._documents.get(spec.name)
        if known is None or known[0] is not spec:
            known = self._documents[spec.name] = spec, orjson.loads(spec.model_dump_json())
        return known[1]

    def commit_decision(self, decision: Decision) -> None:
        """Decision, inputs, rule results and PENDING orders; moves `last_decision_at` and `model_version` forward.

        The same decision again changes nothing.

        Raises
        ------
        InvalidInput
            A value that cannot be given back exactly; see `check_decision`.
        NotFound
            The portfolio was never loaded.
        Conflict
            The id is taken by another decision, or an order's id by an order of another decision.
        """
        check_decision(decision)
        try:
            with self._database.write() as connection:
                connection.execute(sql.INSERT_DECISION, decision_row(decision))
                if decision.orders:
                    connection.execute(sql.INSERT_ORDERS, [order_row(o, decision.id) for o in decision.orders])
                connection.execute(
                    sql.UPDATE_DECIDED,
                    {
                        "of_portfolio": decision.portfolio,
                        "decided_at": decision.decided_at,
                        "model_version": decision.model_version,
                    },
                )
        except IntegrityError as error:
            self._settle_dispute(decision, error)

    def settle(self, settlement: Settlement) -> None:
        """Order updates, fills, cash, positions (all that are held) and NAV. The same fill id again changes nothing.

        `last_settled_at` moves only with a NAV point.

        Raises
        ------
        InvalidInput
            A value that is not finite, or a naive datetime.
        NotFound
            The portfolio, an order, or a fill's order is unknown.
        Conflict
            Older than the last settlement, a final order would change its status, or a fill id is taken by
            another fill.
        """
        check_settlement(settlement)
        name = settlement.portfolio
        with self._database.write() as connection:
            row = connection.execute(sql.PORTFOLIO_FOR_UPDATE, {"portfolio": name}).one_or_none()
            if row is None:
                raise _unknown_portfolio(name)
            write_settlement(connection, row, settlement)

    def set_state(
        self,
        portfolio: str,
        state: TradingState,
        reason: str,
        at: dt.datetime,
        *,
        only_from: TradingState | None = None,
    ) -> None:
        """Change the state and keep the change in the history; the same state and reason again change nothing.

        With `only_from` nothing changes unless that is the state at the moment of writing.

        Raises
        ------
        NotFound
            The portfolio is unknown.
        """
        require_zone("at", at)
        with self._database.write() as connection:
            row = connection.execute(sql.PORTFOLIO_FOR_UPDATE, {"portfolio": portfolio}).one_or_none()
            if row is None:
                raise _unknown_portfolio(portfolio)
            if (row.state, row.state_reason) == (state.value, reason) or only_from not in (None, row.state):
                return
            resumes = state is TradingState.ACTIVE and row.state != state
            connection.execute(
                sql.UPDATE_STATE,
                {
                    "of_portfolio": portfolio,
                    "new_state": state.value,
                    "new_state_reason": reason,
                    "new_state_changed_at": at,
                    "new_peak_nav_usd": row.nav_usd if resumes else row.peak_nav_usd,
                },
            )
            connection.execute(
                sql.INSERT_STATE, {"portfolio": portfolio, "at": at, "state": state.value, "reason": reason}
            )

    def explain(self, order_id: str) -> OrderTrail:
        """The order as it stands, its fills, and its decision exactly as committed; `NotFound` otherwise."""
        with self._database.read() as connection:
            order = connection.execute(sql.ORDER, {"order_id": order_id}).one_or_none()
            if order is None:
                raise NotFound(
                    f"no order {order_id!r} in {self._database.name}.",
                    field="order_id",
                    remedy="`alphamill portfolio orders` lists them; ALPHAMILL_HOME says whose.",
                )
            fills = connection.execute(sql.ORDER_FILLS, {"order_id": order_id}).all()
            decision = _decision(connection, order.decision_id)
            if decision is None:
                raise ValueError(f"order {order_id} without its decision {order.decision_id}")
            return OrderTrail(to_order(order), tuple(to_fill(fill) for fill in fills), decision)

    def _settle_dispute(self, decision: Decision, error: IntegrityError) -> None:
        """The database refused a decision: already there, or one of three ways to be wrong."""
        with self._database.read() as connection:
            known = _decision(connection, decision.id)
            if known == decision:
                return
            if known is not None:
                raise Conflict(
                    f"decision {decision.id} is already recorded with other content.",
                    remedy="A decision is never changed: make a new one.",
                ) from error
            if connection.execute(sql.PORTFOLIO, {"portfolio": decision.portfolio}).one_or_none() is None:
                raise _unknown_portfolio(decision.portfolio) from error
            ids = [order.id for order in decision.orders]
            taken = [row.id for row in connection.execute(sql.ORDERS_BY_ID, {"ids": ids})]
        raise Conflict(
            f"orders {', '.join(taken)} of decision {decision.id} belong to another decision.",
            remedy="An order is committed once.",
        ) from error


def _record(connection: Connection, row: Row[Any]) -> PortfolioRecord:
    held = connection.execute(sql.POSITIONS, {"portfolio": row.name}).all()
    waiting = connection.execute(sql.OPEN_ORDERS, {"portfolio": row.name}).all()
    return to_record(row, held, waiting)


def _decision(connection: Connection, decision_id: str) -> Decision | None:
    row = connection.execute(sql.DECISION, {"decision_id": decision_id}).one_or_none()
    if row is None:
        return None
    return to_decision(row, connection.execute(sql.DECISION_ORDERS, {"decision_id": decision_id}).all())


def _write_spec(connection: Connection, spec: PortfolioSpec, document: dict[str, Any]) -> None:
    if connection.execute(sql.PORTFOLIO, {"portfolio": spec.name}).one_or_none() is not None:
        connection.execute(sql.UPDATE_SPEC, {"of_portfolio": spec.name, "new_spec": document})
        return
    cash = spec.initial_cash_usd
    connection.execute(
        sql.INSERT_PORTFOLIO,
        {
            "name": spec.name,
            "spec": document,
            "state": TradingState.ACTIVE.value,
            "state_reason": "created",
            "cash_usd": cash,
            "nav_usd": cash,
            "peak_nav_usd": cash,
            "model_version": "",
        },
    )


def _unknown_portfolio(name: str) -> NotFound:
    return NotFound(f"no portfolio {name!r} in the ledger.", remedy="Load its spec first.")
