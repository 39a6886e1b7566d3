"""The books: who writes them, who reads them, and what they remember."""

import datetime as dt
from typing import Protocol

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import (
    CashEntry,
    NavPoint,
    OrderTrail,
    PortfolioRecord,
    Settlement,
    SpecChange,
    StateChange,
    Target,
)
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec


class Ledger(Protocol):
    """Writes. Each is one transaction.

    The books (`commit`, `settle`) take a write only on the revision that it names (`StaleRevision`), and only from the
    newest holder of the lease (`Fenced`): `token` is that of its grant. None stands for "no lease is in use", and is
    refused once one was granted. A state and a target need neither: a halt always lands.
    """

    def register(self, spec: PortfolioSpec, at: dt.datetime) -> PortfolioRecord:
        """The portfolio, created ACTIVE with its initial cash when unknown; a changed spec is recorded as a change."""
        ...

    def commit(self, decision: Decision, *, token: int | None = None) -> None:
        """Decision, inputs, rule results and PENDING orders. The same id again changes nothing."""
        ...

    def settle(self, settlement: Settlement, *, token: int | None = None) -> None:
        """Order updates, fills, cash, positions and NAV. The same fill id again changes nothing."""
        ...

    def set_state(
        self,
        portfolio: str,
        state: TradingState,
        reason: str,
        at: dt.datetime,
        *,
        only_from: TradingState | None = None,
    ) -> None:
        """Becoming ACTIVE counts the peak NAV anew: a resumed portfolio is not stopped again by the old one.

        With `only_from` nothing changes unless that is the state at the moment of writing.
        """
        ...

    def set_target(self, target: Target) -> None:
        """What a person wants; a decision answers it. The same id again changes nothing."""
        ...


class LedgerView(Protocol):
    """How things stand. Each call sees one consistent moment."""

    def record(self, portfolio: str) -> PortfolioRecord:
        """`NotFound` for an unknown one."""
        ...

    def records(self) -> list[PortfolioRecord]:
        """Every portfolio, by name."""
        ...

    def orders(self, portfolio: str) -> list[Order]:
        """Orders as they stand, in the order they were decided."""
        ...

    def trail(self, order_id: str) -> OrderTrail:
        """From an order back to everything it was decided on; `NotFound` for an unknown id."""
        ...

    def pending_target(self, portfolio: str) -> Target | None:
        """The newest target, unless a decision has answered it; older ones were replaced by it."""
        ...


class LedgerHistory(Protocol):
    """What has happened, oldest first."""

    def decisions(self, portfolio: str) -> list[Decision]: ...

    def decision_of(self, target_id: str) -> Decision | None:
        """The decision that answered a target."""
        ...

    def fills(self, portfolio: str) -> list[Fill]: ...

    def nav_points(self, portfolio: str) -> list[NavPoint]: ...

    def changes(self, portfolio: str) -> list[StateChange | SpecChange | CashEntry]:
        """Changes of state and spec, and cash that moved without a trade, by time."""
        ...


class Books(Ledger, LedgerView, Protocol):
    """Writing what was read: what a trader holds."""
