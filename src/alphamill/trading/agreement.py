"""Do ledger and broker agree? Asked at every start, and before anything is sent that was committed earlier."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import reduce

from alphamill.domain.ledger import PortfolioRecord
from alphamill.errors import NotReconciled, Unavailable
from alphamill.execution import Account, reconcile
from alphamill.monitoring.alerts import Alert, reconciliation_differs
from alphamill.ports import Broker, LedgerView
from alphamill.trading.books import collected


class Agreement:
    """What was found when ledger and broker were compared last; a person hears of it.

    Attributes
    ----------
    differences
        In words; empty while they agree.
    behind
        True while a session waits to be settled that the venue may have seen: on the day of a split its positions are
        in new shares already. What differs then sends nothing, and a person hears of it only if it stays.
    """

    def __init__(
        self, broker: Broker, ledger: LedgerView, share_step: Decimal, tell: Callable[[Alert | None], None]
    ) -> None:
        self._broker, self._ledger, self._share_step, self._tell = broker, ledger, share_step, tell
        self.differences: list[str] = []
        self.behind = False

    def holds(self, record: PortfolioRecord) -> bool:
        """Compare again. Fills that the ledger has not collected yet are no difference."""
        before = self.differences
        try:
            self.differences = self._compare(record)
        except Unavailable as error:
            # Nobody can tell: nothing is sent, and the question is asked again.
            self.differences = [f"not compared: {error}"]
            return False
        if self.differences != before and not self.behind:
            self._tell(reconciliation_differs(record.name, self.differences))
        return not self.differences

    def note(self, portfolio: str, differences: list[str]) -> None:
        """What a decision found; a person hears of it every time."""
        self.differences = differences
        self._tell(reconciliation_differs(portfolio, differences))

    def _compare(self, record: PortfolioRecord) -> list[str]:
        try:
            changed, early, late = collected(record, self._broker, self._ledger, (), self._share_step)
        except NotReconciled as error:
            return [str(error)]
        account = reduce(Account.apply, [*early, *late], Account(record.cash_usd, record.positions))
        after = {order.id: order for order in changed}
        orders = [after.get(order.id, order) for order in record.open_orders]
        waiting = tuple(order for order in orders if not order.status.is_final)
        now = replace(record, cash_usd=account.cash_usd, positions=dict(account.positions), open_orders=waiting)
        return reconcile(now, self._broker)
