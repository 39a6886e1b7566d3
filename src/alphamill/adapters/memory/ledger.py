"""`Ledger` in memory: the books of a backtest, and of tests."""

import datetime as dt
from dataclasses import dataclass, field, replace

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
from alphamill.domain.ledger_rules import (
    check_decision,
    check_settlement,
    check_target,
    require_revision,
    require_token,
    require_zone,
    spec_difference,
)
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import Conflict, NotFound


@dataclass
class _Book:
    record: PortfolioRecord
    orders: dict[str, Order] = field(default_factory=dict)
    open: dict[str, Order] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    fills_of: dict[str, list[Fill]] = field(default_factory=dict)
    nav: dict[dt.datetime, NavPoint] = field(default_factory=dict)
    changes: list[StateChange | SpecChange | CashEntry] = field(default_factory=list)
    entries: dict[str, CashEntry] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)


class InMemoryLedger:
    """Behaves as `SqlLedger`, held to it by one contract suite and by random histories, and ends with the process.

    One thread at a time.

    Attributes
    ----------
    granted
        The newest token of a lease on this ledger; None while none was granted.
    """

    def __init__(self) -> None:
        self._books: dict[str, _Book] = {}
        self._decisions: dict[str, Decision] = {}
        self._decision_of: dict[str, str] = {}
        self._answers: dict[str, str] = {}
        self.granted: int | None = None

    def register(self, spec: PortfolioSpec, at: dt.datetime) -> PortfolioRecord:
        require_zone("at", at)
        book = self._books.get(spec.name)
        if book is None:
            book = self._books[spec.name] = _Book(_new_record(spec))
        elif book.record.spec is not spec:
            old, new = (one.model_dump(mode="json") for one in (book.record.spec, spec))
            difference = spec_difference(old, new)
            if difference:
                book.record = replace(book.record, spec=spec)
                book.changes.append(SpecChange(at.astimezone(dt.UTC), difference))
        return book.record

    def record(self, portfolio: str) -> PortfolioRecord:
        return self._book(portfolio).record

    def records(self) -> list[PortfolioRecord]:
        """Every portfolio's record, by name."""
        return [self._books[name].record for name in sorted(self._books)]

    def commit(self, decision: Decision, *, token: int | None = None) -> None:
        check_decision(decision)
        require_token(token, self.granted)
        known = self._decisions.get(decision.id)
        if known == decision:
            return
        if known is not None:
            raise Conflict(f"decision {decision.id} is already recorded with other content.")
        book = self._book(decision.portfolio)
        require_revision(decision.portfolio, decision.revision, book.record.revision)
        taken = [order.id for order in decision.orders if order.id in self._decision_of]
        if taken:
            raise Conflict(f"orders {', '.join(taken)} of decision {decision.id} belong to another decision.")
        self._decisions[decision.id] = decision
        if decision.target_id:
            self._answers.setdefault(decision.target_id, decision.id)
        for order in decision.orders:
            book.orders[order.id] = book.open[order.id] = order
            self._decision_of[order.id] = decision.id
        last, version = book.record.last_decision_at, book.record.model_version
        if last is None or last <= decision.decided_at:
            last, version = decision.decided_at, decision.model_version or version
        waiting = tuple(book.open.values()) if decision.orders else book.record.open_orders
        book.record = replace(
            book.record,
            last_decision_at=last,
            model_version=version,
            open_orders=waiting,
            revision=book.record.revision + 1,
        )

    def settle(self, settlement: Settlement, *, token: int | None = None) -> None:
        known = self._books.get(settlement.portfolio)
        check_settlement(settlement, known.record.positions if known else None)
        book = self._book(settlement.portfolio)
        require_token(token, self.granted)
        require_revision(settlement.portfolio, settlement.revision, book.record.revision)
        _check_against(book, settlement)
        new = [fill for fill in settlement.fills if fill.id not in book.fills]
        for fill in new:
            if fill.order_id not in self._decision_of:
                raise NotFound(f"fill {fill.id} names order {fill.order_id}, which is not in the ledger.")
        for order in settlement.orders:
            _update_order(book, order)
        for fill in new:
            book.fills[fill.id] = fill
            book.fills_of.setdefault(fill.order_id, []).append(fill)
        for entry in settlement.entries:
            if entry.id not in book.entries:
                book.entries[entry.id] = entry
                book.changes.append(entry)
        nav = settlement.nav
        if nav is not None:
            book.nav[nav.at] = nav
        before = book.record
        nav_usd = before.nav_usd if nav is None else nav.nav_usd
        book.record = replace(
            before,
            cash_usd=settlement.cash_usd,
            positions={p.symbol: p for p in sorted(settlement.positions, key=lambda p: p.symbol) if p.quantity},
            nav_usd=nav_usd,
            peak_nav_usd=max(before.peak_nav_usd, nav_usd),
            last_settled_at=before.last_settled_at if nav is None else nav.at,
            open_orders=tuple(book.open.values()) if settlement.orders else before.open_orders,
            last_fill_id=new[-1].id if new else before.last_fill_id,
            awaited=before.awaited if nav is None else settlement.awaited,
            bars_version=before.bars_version if nav is None else settlement.bars_version,
            revision=before.revision + 1,
        )

    def set_state(
        self,
        portfolio: str,
        state: TradingState,
        reason: str,
        at: dt.datetime,
        *,
        only_from: TradingState | None = None,
    ) -> None:
        require_zone("at", at)
        book = self._book(portfolio)
        before = book.record.state
        if (before, book.record.state_reason) != (state, reason) and only_from in (None, before):
            resumes = state is TradingState.ACTIVE and before is not state
            peak = book.record.nav_usd if resumes else book.record.peak_nav_usd
            book.record = replace(
                book.record, state=state, state_reason=reason, state_since=at.astimezone(dt.UTC), peak_nav_usd=peak
            )
            book.changes.append(StateChange(at.astimezone(dt.UTC), state, reason))

    def set_target(self, target: Target) -> None:
        check_target(target)
        self._book(target.portfolio).targets.setdefault(target.id, target)

    def pending_target(self, portfolio: str) -> Target | None:
        """The newest target, unless a decision has answered it."""
        newest = next(reversed(self._book(portfolio).targets.values()), None)
        return None if newest is None or newest.id in self._answers else newest

    def decision_of(self, target_id: str) -> Decision | None:
        """The decision that answered a target."""
        found = self._answers.get(target_id)
        return None if found is None else self._decisions[found]

    def trail(self, order_id: str) -> OrderTrail:
        if order_id not in self._decision_of:
            raise NotFound(f"no order {order_id!r} in the ledger.")
        decision = self._decisions[self._decision_of[order_id]]
        book = self._books[decision.portfolio]
        decision = replace(decision, prices=dict(decision.prices))  # a trail is written out: plain types only
        order = book.orders[order_id]
        brought = (e for e in book.entries.values() if e.symbol == order.symbol and e.at >= order.decided_at)
        return OrderTrail(order, tuple(book.fills_of.get(order_id, ())), decision, tuple(brought))

    def decisions(self, portfolio: str) -> list[Decision]:
        """All decisions of a portfolio, oldest first."""
        return [d for d in self._decisions.values() if d.portfolio == portfolio]

    def orders(self, portfolio: str) -> list[Order]:
        """All orders as they stand, in the order they were decided."""
        return list(self._book(portfolio).orders.values())

    def fills(self, portfolio: str) -> list[Fill]:
        """All fills in the order they were settled."""
        return list(self._book(portfolio).fills.values())

    def nav_points(self, portfolio: str) -> list[NavPoint]:
        """NAV and cash at each settled close, oldest first."""
        return list(self._book(portfolio).nav.values())

    def changes(self, portfolio: str) -> list[StateChange | SpecChange | CashEntry]:
        """Changes of state and spec, and cash that moved without a trade, by time."""
        return sorted(self._book(portfolio).changes, key=lambda change: change.at)

    def _book(self, portfolio: str) -> _Book:
        if portfolio not in self._books:
            known = ", ".join(sorted(self._books)) or "none"
            raise NotFound(
                f"no portfolio {portfolio!r} in the ledger.",
                field="portfolio",
                remedy=f"There are: {known}. A trader registers its portfolios when it starts.",
            )
        return self._books[portfolio]


def _new_record(spec: PortfolioSpec) -> PortfolioRecord:
    cash = spec.initial_cash_usd
    return PortfolioRecord(
        name=spec.name,
        state=TradingState.ACTIVE,
        state_reason="created",
        cash_usd=cash,
        positions={},
        open_orders=(),
        nav_usd=cash,
        peak_nav_usd=cash,
        last_settled_at=None,
        last_decision_at=None,
        last_fill_id=None,
        model_version="",
        spec=spec,
    )


def _update_order(book: _Book, order: Order) -> None:
    book.orders[order.id] = book.orders[order.id].after(
        status=order.status,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        detail=order.detail,
    )
    if order.status.is_final:
        book.open.pop(order.id, None)
    else:
        book.open[order.id] = book.orders[order.id]


def _check_against(book: _Book, settlement: Settlement) -> None:
    """All that could refuse a settlement, before anything is changed."""
    last = book.record.last_settled_at
    if last is not None and settlement.at < last:
        raise Conflict(f"settlement of {settlement.at.isoformat()} comes after that of {last.isoformat()}.", field="at")
    for order in settlement.orders:
        known = book.orders.get(order.id)
        if known is None:
            raise NotFound(f"no order {order.id!r} in portfolio {settlement.portfolio!r}.")
        if known.status.is_final and known.status is not order.status:
            raise Conflict(f"order {order.id} is {known.status} and cannot become {order.status}.")
    for fill in settlement.fills:
        if book.fills.get(fill.id, fill) != fill:
            raise Conflict(f"fill {fill.id} is already recorded with other content.", field="fills")
