"""The books of one portfolio: each write names the revision that was read and the lease under which it is made."""

from collections.abc import Callable, Sequence
from datetime import datetime

from alphamill.domain.decisions import Decision
from alphamill.domain.ledger import NavPoint, PortfolioRecord, Settlement
from alphamill.domain.orders import Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import Books
from alphamill.trading.books import with_new_status
from alphamill.trading.closing import Closing
from alphamill.trading.market import Market


class OwnBooks:
    """Reads and writes one portfolio's books; every write gives the record as it stands afterwards.

    Parameters
    ----------
    token
        Of the grant under which this process trades; None where no lease is in use.
    on_orders
        Hears orders that have just taken a status, once the ledger holds it. Must not raise.

    Raises
    ------
    StaleRevision, Fenced
        From every write: somebody wrote since the record was read, or another trader has the lease.
    """

    def __init__(
        self,
        spec: PortfolioSpec,
        ledger: Books,
        token: Callable[[], int | None],
        on_orders: Callable[[Sequence[Order]], object],
    ) -> None:
        self._spec, self._ledger, self._token, self._on_orders = spec, ledger, token, on_orders

    def register(self, at: datetime) -> PortfolioRecord:
        return self._ledger.register(self._spec, at)

    def record(self) -> PortfolioRecord:
        return self._ledger.record(self._spec.name)

    def commit(self, decision: Decision) -> PortfolioRecord:
        self._ledger.commit(decision, token=self._token())
        self._on_orders(decision.orders)
        return self.record()

    def settle(self, record: PortfolioRecord, market: Market, closed: Closing) -> PortfolioRecord:
        """A session as it closed: orders, fills, cash, positions and a NAV point, in one transaction."""
        account = closed.account
        concerned = {*account.positions, *(order.symbol for order in record.open_orders)}
        settlement = Settlement(
            portfolio=record.name,
            at=market.ts,
            orders=closed.orders,
            fills=closed.fills,
            cash_usd=account.cash_usd,
            positions=tuple(account.marked(market.prices).positions.values()),
            nav=NavPoint(market.ts, account.nav(market.prices), account.cash_usd),
            awaited=tuple(sorted(market.missing & concerned)),
            revision=record.revision,
            entries=closed.entries,
            bars_version=market.bars_version,
        )
        return self._write(record, settlement)

    def note(self, record: PortfolioRecord, orders: Sequence[Order]) -> PortfolioRecord:
        """What became of orders between two closes; cash and positions stay."""
        settlement = Settlement(
            portfolio=record.name,
            at=record.last_settled_at or orders[0].decided_at,
            orders=tuple(orders),
            fills=(),
            cash_usd=record.cash_usd,
            positions=tuple(record.positions.values()),
            nav=None,
            revision=record.revision,
        )
        return self._write(record, settlement)

    def _write(self, record: PortfolioRecord, settlement: Settlement) -> PortfolioRecord:
        self._ledger.settle(settlement, token=self._token())
        self._on_orders(with_new_status(record, settlement.orders))
        return self.record()
