"""One portfolio's trader: settle the last orders, decide, commit, then send. Backtest and live run this."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from alphamill.domain.decisions import Decision, Refusal
from alphamill.domain.ledger import PortfolioRecord, Target
from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError, Unavailable
from alphamill.execution import send_orders
from alphamill.execution.sending import cancelled
from alphamill.features.history import BarHistory
from alphamill.monitoring.alerts import Alert, delisted, of_decision, state_changed
from alphamill.ports import Books, Forecaster, Notifier, TradingVenue
from alphamill.risk import Rules, default_rules, next_state
from alphamill.trading import books, targets
from alphamill.trading.agreement import Agreement
from alphamill.trading.books import UNANSWERED, forbids, unclear
from alphamill.trading.closing import Closing, closing, late_closing
from alphamill.trading.decision import decision_of, logged_as
from alphamill.trading.delistings import Delistings
from alphamill.trading.exits import exit_plan, forbidden, missed_sessions, not_scheduled, plan_or_exit, tripped
from alphamill.trading.inputs import gather
from alphamill.trading.lateness import MISSED, Late
from alphamill.trading.market import Market, history_refusals
from alphamill.trading.newest import SessionFeatures
from alphamill.trading.own_books import OwnBooks
from alphamill.trading.plan import risk_context
from alphamill.trading.venue import lanes_to
from alphamill.trading.watch import moved_on


class PortfolioTrader:
    """Turns each closed session into at most one decision, and each decision into orders sent once.

    Parameters
    ----------
    spec
        What is traded and what stops it.
    history
        Bars up to the session being decided; shared with the loop that appends to it.
    rules
        Risk rules; the default set of `spec` when None.
    token
        Of the lease's grant under which this process trades; it goes with every write of the books.
    holds, late
        Asked while orders are sent: is the lease still held, can an order still reach its open.
    on_orders
        Hears orders that have just taken a status, once the ledger holds it. Must not raise.

    Attributes
    ----------
    symbols
        The universe, and what is still held of an earlier one: those are priced, and sold.
    """

    def __init__(
        self,
        spec: PortfolioSpec,
        *,
        features: SessionFeatures,
        forecaster: Forecaster,
        broker: TradingVenue,
        ledger: Books,
        history: BarHistory,
        notifier: Notifier,
        rules: Rules | None = None,
        token: Callable[[], int | None] = lambda: None,
        holds: Callable[[], bool] = lambda: True,
        late: Late = lambda decided_at: None,
        on_orders: Callable[[Sequence[Order]], object] = lambda orders: None,
    ) -> None:
        self.spec = spec
        self.symbols = spec.universe.symbols
        self._delistings = Delistings(spec.universe)
        self._features, self._forecaster = features, forecaster
        self._broker, self._lanes = broker, lanes_to(broker.capabilities(), spec)
        self._holds, self._late = holds, late
        self._ledger = ledger
        self._history = history
        self._notifier = notifier
        self._rules = default_rules(spec) if rules is None else rules
        self._books = OwnBooks(spec, ledger, token, on_orders)
        self._told: set[str] = set()
        self.agreement = Agreement(broker, ledger, spec.broker.share_step, self._tell)

    def open(self, market: Market) -> PortfolioRecord:
        """Write the opening point of a new portfolio, so that a restart knows where trading began."""
        record = self._books.register(market.ts)
        if record.last_settled_at is None:
            if record.last_decision_at != market.ts:  # else the process died between these two lines
                record = self._books.commit(decision_of(self.spec, record, market, "opening"))
            record = self._books.settle(record, market, Closing(books.book_of(record)))
        return record

    def recall(self, at: datetime) -> datetime | None:
        """Register the portfolio as of `at` and learn what it holds.

        Returns
        -------
        The close of the last session settled, None while the portfolio was never opened.
        """
        record = self._books.register(at)
        universe = self.spec.universe.symbols
        self.symbols = (*universe, *sorted(set(record.positions).difference(universe)))
        return record.last_settled_at

    def held(self) -> frozenset[str]:
        """Symbols with a position."""
        return frozenset(self._books.record().positions)

    def obstacles(self) -> list[str]:
        """Why nothing could be sent now; books that differed are compared again."""
        if self.agreement.differences:
            self.compare()
        return [f"ledger and broker disagree: {difference}" for difference in self.agreement.differences]

    def compare(self) -> bool:
        """Whether ledger and broker agree; see `Agreement`."""
        return self.agreement.holds(self._books.record())

    def decides_again(self, close: datetime) -> bool:
        """Whether the session closed at `close` was settled but not decided (the process died in between)."""
        record = self._books.record()
        return record.last_settled_at == close and not (record.last_decision_at and record.last_decision_at >= close)

    def on_session(self, market: Market, *, late: str | None = None) -> Decision | None:
        """Settle and decide the session that closed at `market.ts`; both happen once however often it is called.

        `late` says why no order may follow from this session any more (its next open has passed).
        """
        record = self._books.record()
        if record.last_settled_at is None or record.last_settled_at < market.ts:
            record = self._settle(record, market)
        if record.last_decision_at is not None and record.last_decision_at >= market.ts:
            return None
        record = self._cancel(record, MISSED, books.over(record, scheduled=not not_scheduled(self.spec, market)))
        decision = self._decide(record, market, late)
        with logged_as(decision):
            record = self._books.commit(decision)
            if decision.orders:
                self.send_committed(self._late, compared=True)
            elif record.open_orders:
                self.enforce_state()  # the drawdown may have tripped since
        for alert in of_decision(decision, self.spec):
            self._tell(alert)
        return decision

    def answer(self, target: Target, market: Market, *, late: str | None = None) -> Decision:
        """Decide a person's target; one that cannot be done becomes a decision that says why, and sends nothing.

        Raises
        ------
        Unavailable
            A part is down: the target stays, and is decided later.
        """
        try:
            return self.update_target(target.weights, market, late=late, target_id=target.id)
        except Unavailable:
            raise
        except AlphamillError as error:
            record = self._books.record()
            refusals = (Refusal("*", error.code, str(error)),)
            at = targets.after(record, market)
            decision = decision_of(self.spec, record, at, "manual", refusals=refusals, target_id=target.id)
            self._books.commit(decision)
            return decision

    def update_target(
        self, weights: Mapping[str, float], market: Market, *, late: str | None = None, target_id: str = ""
    ) -> Decision:
        """Make `weights` the new target: a decision like any other, replacing orders that are still open.

        Raises
        ------
        UnknownSymbol, InvalidWeights
            Before anything is written.
        DataUnfit
            A symbol has no price yet.
        Halted, NotReconciled, Conflict
            When no order may be sent, or `late` says why none can reach its open any more.
        """
        targets.require_valid_targets(self.spec, weights)
        targets.require_tradable(weights, market.prices, self._delistings.gone(market.ts), late)
        record = self._books.record()
        targets.require_may_send(record, self._broker)
        record = self._cancel(record, "replaced by a manual target")
        targets.require_none_in_doubt(record)
        market = targets.after(record, market)
        plan = targets.manual_plan(self.spec, record, market, weights, self._rules)
        decision = decision_of(self.spec, record, market, "manual", plan=plan, target_id=target_id)
        with logged_as(decision):
            self._books.commit(decision)
            self.send_committed(self._late, compared=True)
        return decision

    def send_committed(self, late: Late = lambda decided_at: None, *, compared: bool = False) -> None:
        """Send what is committed and not yet answered. The state is read again: a halt in between holds.

        Unless it was `compared` just now, nothing is sent while ledger and broker disagree. A `late` order that was
        never sent is cancelled; one in flight is asked for, but not sent again.
        """

        def expired(order: Order) -> bool:
            return late(order.decided_at) is not None

        record = self.enforce_state()
        unsent = [o for o in record.open_orders if o.status is OrderStatus.PENDING and expired(o)]
        record = self._cancel(record, MISSED, unsent)
        withheld = {o.id for o in unsent}  # should one not be cancelled now, it is not sent either
        waiting = [o for o in record.open_orders if o.status in UNANSWERED and o.id not in withheld]
        if waiting and (compared or self.agreement.holds(record)):
            allowed = [o for o in waiting if not forbids(record, o)]
            stopped = moved_on(record, self._books.record, self._holds)
            sent = send_orders(allowed, self._broker, expired=expired, stopped=stopped, lanes=self._lanes)
            if sent:
                self._books.note(record, sent)

    def enforce_state(self) -> PortfolioRecord:
        """Cancel open orders the state forbids: all when HALTED, those not toward zero when REDUCING."""
        record = self._books.record()
        return self._cancel(
            record, f"portfolio is {record.state}", [o for o in record.open_orders if forbids(record, o)]
        )

    def _settle(self, record: PortfolioRecord, market: Market) -> PortfolioRecord:
        closed = closing(record, market, self._broker, self._ledger, self._delistings, self._history)
        record = self._books.settle(record, market, closed)
        self.agreement.behind = False
        for position in closed.delisted:
            self._tell(delisted(self.spec.name, position))
        return record

    def adjust(self, market: Market) -> None:
        """Take in bars that came after their session, the newest, was settled: splits, dividends and NAV."""
        record = self._books.record()
        if late := late_closing(record, market):
            self._books.settle(record, market, late)

    def _decide(self, record: PortfolioRecord, market: Market, late: str | None) -> Decision:
        record = self._trip(record, market)
        context = risk_context(self.spec, record, market, record.state)
        stopped, skipped = forbidden(record, late), not_scheduled(self.spec, market) or missed_sessions(market)
        closing = tripped(context, self._rules) if skipped and not stopped else set()
        if stopped or (skipped and not closing):
            return decision_of(self.spec, record, market, "model", refusals=stopped or skipped)
        record = self._cancel(record, "replaced by an exit", [o for o in record.open_orders if o.symbol in closing])
        differences = unclear(record, self._broker, closing if skipped else {o.symbol for o in record.open_orders})
        self.agreement.note(self.spec.name, differences)
        if differences:
            refusals = (*skipped, Refusal("*", "NOT_RECONCILED", "; ".join(differences)))
            return decision_of(self.spec, record, market, "model", refusals=refusals)
        current = market.weights(record.positions, record.nav_usd)
        if skipped:
            plan = exit_plan(context, self._rules, current)
            return decision_of(self.spec, record, market, "model", plan=plan, refusals=skipped)
        gone = self._delistings.refusals(market.ts)
        symbols = [s for s in self.spec.universe.symbols if s not in {r.symbol for r in gone}]
        short = history_refusals(self._history, symbols, market.ts, self.spec.sizing.covariance_bars)
        usable = [s for s in symbols if s not in {r.symbol for r in short}]
        inputs = gather(self.spec, usable, market.ts, self._features, self._forecaster, self._broker.capabilities())
        refusals = (*gone, *short, *inputs.refusals)
        plan, refusals = plan_or_exit(context, self._rules, current, inputs.forecasts, self._history, refusals)
        return decision_of(self.spec, record, market, "model", inputs, plan, refusals)

    def _trip(self, record: PortfolioRecord, market: Market) -> PortfolioRecord:
        """The record after the portfolio's own numbers may have changed its state."""
        state, reason = next_state(risk_context(self.spec, record, market, record.state))
        if state is record.state:
            return record
        # A person may have halted since the record was read; a rule must not soften that.
        self._ledger.set_state(self.spec.name, state, reason, market.ts, only_from=record.state)
        after = self._books.record()
        if after.state_reason == reason:
            self._tell(state_changed(self.spec.name, record.state, state, reason))
        return after

    def _tell(self, alert: Alert | None) -> None:
        if alert is not None:
            self._notifier.notify(alert.title, alert.body)

    def _cancel(self, record: PortfolioRecord, why: str, orders: Sequence[Order] | None = None) -> PortfolioRecord:
        """Cancel open orders (all if None); one whose fate the broker does not tell stays open."""
        changed = [self._cancelled(order, why) for order in (record.open_orders if orders is None else orders)]
        known = [order for order in changed if order is not None]
        return self._books.note(record, known) if known else record

    def _cancelled(self, order: Order, why: str) -> Order | None:
        if self._lanes.holds(order.id):
            return None  # what the broker says of it now may be over in a moment
        try:
            return cancelled(order, self._broker, why)
        except Unavailable as error:
            if order.id not in self._told:  # it is tried again every second; a person hears of it once
                self._told.add(order.id)
                self._tell(Alert(f"{self.spec.name}: order {order.id} could not be cancelled", str(error)))
            return None
