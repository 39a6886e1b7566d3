"""`Ledger` on a relational database: SQLite in a file or in memory, or PostgreSQL. Each write is one transaction."""

import datetime as dt
from typing import Any

import orjson
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from alphamill.adapters.sql import statements as sql
from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.rows import decision_row, order_row
from alphamill.adapters.sql.schema import ensure_schema
from alphamill.adapters.sql.settling import write_settlement
from alphamill.adapters.sql.view import SqlLedgerView, decision_with_id
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import PortfolioRecord, Settlement, Target
from alphamill.domain.ledger_rules import (
    check_decision,
    check_settlement,
    check_target,
    require_revision,
    require_token,
    require_zone,
    spec_difference,
)
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import Conflict, StaleRevision


class SqlLedger(SqlLedgerView):
    """The truth about decisions, orders, fills and state.

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
        database = Database(url)
        ensure_schema(database)
        super().__init__(database)

    def register(self, spec: PortfolioSpec, at: dt.datetime) -> PortfolioRecord:
        """The portfolio, created ACTIVE with its initial cash when unknown; a changed spec is recorded as a change.

        Raises
        ------
        InvalidInput
            A naive datetime.
        """
        require_zone("at", at)
        document = orjson.loads(spec.model_dump_json())
        with self._database.read() as connection:
            row = connection.execute(sql.PORTFOLIO, {"portfolio": spec.name}).one_or_none()
        if row is None or row.spec != document:
            try:
                with self._database.write() as connection:
                    _write_spec(connection, spec, document, at)
            except IntegrityError:
                pass  # another process created it between our question and our answer: its row is read below
        return self.record(spec.name)

    def commit(self, decision: Decision, *, token: int | None = None) -> None:
        """Decision, inputs, rule results and PENDING orders; moves `last_decision_at` and `model_version` forward.

        The same decision again changes nothing, whatever the books' revision is by then.

        Raises
        ------
        InvalidInput
            A value that cannot be given back exactly; see `check_decision`.
        NotFound
            The portfolio was never registered.
        StaleRevision, Fenced
            The books moved on since `decision.revision`, or another trader was granted the lease.
        Conflict
            The id is taken by another decision, or an order's id by an order of another decision.
        """
        check_decision(decision)
        try:
            with self._database.write() as connection:
                self._turn(connection, decision.portfolio, decision.revision, token)
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
        except (IntegrityError, StaleRevision) as error:
            self._settle_dispute(decision, error)

    def settle(self, settlement: Settlement, *, token: int | None = None) -> None:
        """Order updates, fills, cash, positions (all that are held) and NAV. The same fill id again changes nothing.

        `last_settled_at` moves only with a NAV point.

        Raises
        ------
        InvalidInput
            A value that is not finite, or a naive datetime.
        NotFound
            The portfolio, an order, or a fill's order is unknown.
        StaleRevision, Fenced
            The books moved on since `settlement.revision`, or another trader was granted the lease.
        Conflict
            Older than the last settlement, a final order would change its status, or a fill id is taken by
            another fill.
        """
        check_settlement(settlement)
        with self._database.write() as connection:
            row = self._turn(connection, settlement.portfolio, settlement.revision, token)
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
            row = self._locked(connection, portfolio)
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

    def set_target(self, target: Target) -> None:
        """What a person wants; the same id again changes nothing.

        Raises
        ------
        InvalidInput
            A weight that is not finite, or a naive datetime.
        NotFound
            The portfolio is unknown.
        """
        check_target(target)
        with self._database.write() as connection:
            self._locked(connection, target.portfolio)
            if connection.execute(sql.TARGET, {"target_id": target.id}).one_or_none() is not None:
                return
            values = {"id": target.id, "portfolio": target.portfolio, "weights": dict(target.weights), "at": target.at}
            connection.execute(sql.INSERT_TARGET, {**values, "requested_by": target.requested_by})

    def _turn(self, connection: Connection, portfolio: str, revision: int, token: int | None) -> Row[Any]:
        """The portfolio's row, locked, when this writer may write it."""
        row = self._locked(connection, portfolio)
        require_token(token, connection.execute(sql.HIGHEST_TOKEN).scalar())
        require_revision(portfolio, revision, row.revision)
        return row

    def _locked(self, connection: Connection, portfolio: str) -> Row[Any]:
        row = connection.execute(sql.PORTFOLIO_FOR_UPDATE, {"portfolio": portfolio}).one_or_none()
        if row is None:
            raise self._unknown(connection, portfolio)
        return row

    def _settle_dispute(self, decision: Decision, error: IntegrityError | StaleRevision) -> None:
        """A decision was refused: it is there already, or one of three ways to be wrong."""
        with self._database.read() as connection:
            known = decision_with_id(connection, decision.id)
            if known == decision:
                return
            if isinstance(error, StaleRevision):
                raise error
            if known is not None:
                raise Conflict(
                    f"decision {decision.id} is already recorded with other content.",
                    remedy="A decision is never changed: make a new one.",
                ) from error
            ids = [order.id for order in decision.orders]
            taken = [row.id for row in connection.execute(sql.ORDERS_BY_ID, {"ids": ids})]
        raise Conflict(
            f"orders {', '.join(taken)} of decision {decision.id} belong to another decision.",
            remedy="An order is committed once.",
        ) from error


def _write_spec(connection: Connection, spec: PortfolioSpec, document: dict[str, Any], at: dt.datetime) -> None:
    row = connection.execute(sql.PORTFOLIO_FOR_UPDATE, {"portfolio": spec.name}).one_or_none()
    if row is not None:
        difference = spec_difference(row.spec, document)
        if difference:
            connection.execute(sql.UPDATE_SPEC, {"of_portfolio": spec.name, "new_spec": document})
            change = {field: list(values) for field, values in difference.items()}
            connection.execute(sql.INSERT_SPEC_CHANGE, {"portfolio": spec.name, "at": at, "difference": change})
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
