"""The books."""

import datetime as dt
from typing import Protocol

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import OrderTrail, PortfolioRecord, Settlement
from alphamill.domain.portfolios import PortfolioSpec


class Ledger(Protocol):
    """The truth about decisions, orders, fills and state. Each write is one transaction."""

    def load(self, spec: PortfolioSpec) -> PortfolioRecord:
        """The portfolio's record; created ACTIVE with its initial cash when unknown."""
        ...

    def commit_decision(self, decision: Decision) -> None:
        """Decision, inputs, rule results and PENDING orders. The same id again changes nothing."""
        ...

    def settle(self, settlement: Settlement) -> None:
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

    def explain(self, order_id: str) -> OrderTrail:
        """From an order back to everything it was decided on; `NotFound` for an unknown id."""
        ...
