"""One portfolio's controller: settle the last orders, decide, commit, then send. Backtest and live run this."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alphamill.domain.decisions import Decision, Refusal, TradingState
from alphamill.domain.ledger import NavPoint, PortfolioRecord, Settlement
from alphamill.domain.orders import Fill, Order, OrderStatus
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import Halted, NotReconciled, Unavailable
from alphamill.execution import Account, reconcile, send_orders
from alphamill.execution.sending import confirmed
from alphamill.features.history import BarHistory
from alphamill.monitoring.alerts import Alert, delisted, of_decision, state_changed
from alphamill.ports import Forecaster, Ledger, Notifier, TradingVenue
from alphamill.risk import Rules, default_rules, next_state
from alphamill.trading import books
from alphamill.trading.agreement import Agreement
from alphamill.trading.books import UNANSWERED, forbids, in_doubt, unclear
from alphamill.trading.decision import decision_of
from alphamill.trading.delistings import Delistings
from alphamill.trading.exits import exit_plan, forbidden, missed_sessions, not_scheduled, plan_or_exit, tripped
from alphamill.trading.inputs import gather
from alphamill.trading.market import Market, history_refusals
from alphamill.trading.newest import SessionFeatures
from alphamill.trading.plan import plan_to_weights, risk_context
from alphamill.trading.targets import require_tradable, require_valid_targets
from alphamill.trading.venue import lanes_to
from alphamill.trading.watch import state_moved

MISSED = "its open has passed"

#: When an order was decided -> why it can no longer reach its open, or None.
Late = Callable[[datetime], str | None]


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
        ledger: Ledger,
        history: BarHistory,
        notifier: Notifier,
        rules: Rules | None = None,
    ) -> None:
        self.spec = spec
        self.symbols = spec.universe.symbols
        self._delistings = Delistings(spec.universe)
        self._features = features
        self._forecaster = forecaster
        self._broker = broker
        self._lanes = lanes_to(broker.capabilities(), spec)
        self._ledger = ledger
        self._history = history
        self._notifier = notifier
        self._rules = default_rules(spec) if rules is None else rules
        self._told: set[str] = set()
        self.agreement = Agreement(broker, ledger, spec.broker.share_step, self._tell)

    def open(self, market: Market) -> PortfolioRecord:
        """Write the opening point of a new portfolio, so that a restart knows where trading began."""
        record = self._ledger.load(self.spec)
        if record.last_settled_at is None:
            if record.last_decision_at != market.ts:  # else the process died between these two lines
                self._ledger.commit_decision(decision_of(self.spec, record, market, "opening"))
            nav = NavPoint(market.ts, record.cash_usd, record.cash_usd)
            self._ledger.settle(Settlement(self.spec.name, market.ts, (), (), record.cash_usd, (), nav))
        return self._ledger.load(self.spec)

    def recall(self) -> datetime | None:
        """Learn what is held; the close of the last session settled, None while the portfolio was never opened."""
        record = self._ledger.load(self.spec)
        universe = self.spec.universe.symbols
        self.symbols = (*universe, *sorted(set(record.positions).difference(universe)))
        return record.last_settled_at

    def held(self) -> frozenset[str]:
        """Symbols with a position."""
        return frozenset(self._ledger.load(self.spec).positions)

    def compare(self) -> bool:
        """Whether ledger and broker agree; see `Agreement`."""
        return self.agreement.holds(self._ledger.load(self.spec))

    def decides_again(self, close: datetime) -> bool:
        """Whether the session closed at `close` was settled but not decided (the process died in between)."""
        record = self._ledger.load(self.spec)
        decided = record.last_decision_at
        return record.last_settled_at == close and (decided is None or decided < close)

    def on_session(self, market: Market, *, late: str | None = None) -> Decision | None:
        """Settle and decide the session that closed at `market.ts`; both happen once however often it is called.

        `late` says why no order may follow from this session any more (its next open has passed).
        """
        record = self._ledger.load(self.spec)
        if record.last_settled_at is None or record.last_settled_at < market.ts:
            record = self._settle(record, market)
        if record.last_decision_at is not None and record.last_decision_at >= market.ts:
            return None
        record = self._cancel(record, MISSED, books.over(record, scheduled=not not_scheduled(self.spec, market)))
        decision = self._decide(record, market, late)
        self._ledger.commit_decision(decision)
        if decision.orders:
            self.send_committed(compared=True)
        elif record.open_orders:
            self.enforce_state()  # the drawdown may have tripped since
        for alert in of_decision(decision, self.spec):
            self._tell(alert)
        return decision

    def update_target(self, weights: Mapping[str, float], market: Market, *, late: str | None = None) -> Decision:
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
        require_valid_targets(self.spec, weights)
        require_tradable(weights, market.prices, self._delistings.gone(market.ts), late)
        record = self._ledger.load(self.spec)
        if record.state is TradingState.HALTED:
            raise Halted(f"portfolio {self.spec.name} is HALTED: {record.state_reason}.", remedy="Resume it first.")
        differences = reconcile(record, self._broker)
        if differences:
            raise NotReconciled(f"ledger and broker disagree: {'; '.join(differences)}.", remedy="Settle this first.")
        record = self._cancel(record, "replaced by a manual target")
        if record.open_orders:
            raise NotReconciled(
                in_doubt(record.open_orders), remedy="Ask the broker about them; nothing new is sent meanwhile."
            )
        at = max(market.ts, (record.last_decision_at or market.ts) + timedelta(microseconds=1))
        context = replace(risk_context(self.spec, record, market, record.state), decided_at=at)
        targets = {symbol: weights.get(symbol, 0.0) for symbol in self.spec.universe.symbols if symbol in market.prices}
        said = dict.fromkeys(targets, "manual target")
        current = market.weights(record.positions, record.nav_usd)
        plan = plan_to_weights(context, self._rules, current, targets, {}, said, set())
        decision = decision_of(self.spec, record, replace(market, ts=at), "manual", plan=plan)
        self._ledger.commit_decision(decision)
        self.send_committed(compared=True)
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
            self._send([o for o in waiting if not forbids(record, o)], record, expired)

    def _send(self, waiting: Sequence[Order], record: PortfolioRecord, expired: Callable[[Order], bool]) -> None:
        stopped = state_moved(record, lambda: self._ledger.load(self.spec))
        sent = send_orders(waiting, self._broker, expired=expired, stopped=stopped, lanes=self._lanes)
        if sent:
            self._record_orders(record, sent)

    def enforce_state(self) -> PortfolioRecord:
        """Cancel open orders the state forbids: all when HALTED, those not toward zero when REDUCING."""
        record = self._ledger.load(self.spec)
        forbidden = [o for o in record.open_orders if forbids(record, o)]
        return self._cancel(record, f"portfolio is {record.state}", forbidden)

    def _settle(self, record: PortfolioRecord, market: Market) -> PortfolioRecord:
        step = self.spec.broker.share_step
        orders, early, fills = books.collected(record, self._broker, self._ledger, market.actions, step)
        account, paid = self._delistings.settle(books.book_of(record, early), self._history, market.ts)
        account = books.after_actions(account, market.actions, step, fills)
        record = self._settle_account(record, market, account, orders, (*early, *fills))
        self.agreement.behind = False
        for position in paid:
            self._tell(delisted(self.spec.name, position))
        return record

    def _settle_account(
        self, record: PortfolioRecord, market: Market, account: Account, orders: Sequence[Order], fills: Sequence[Fill]
    ) -> PortfolioRecord:
        nav = NavPoint(market.ts, account.nav(market.prices), account.cash_usd)
        positions = tuple(account.marked(market.prices).positions.values())
        concerned = {*account.positions, *(order.symbol for order in record.open_orders)}
        awaited = tuple(sorted(market.missing & concerned))
        self._ledger.settle(
            Settlement(record.name, market.ts, tuple(orders), tuple(fills), account.cash_usd, positions, nav, awaited)
        )
        return self._ledger.load(self.spec)

    def adjust(self, market: Market) -> None:
        """Take in bars that came after their session, the newest, was settled: splits, dividends and NAV."""
        record, step = self._ledger.load(self.spec), self.spec.broker.share_step
        came = set(record.awaited) - market.missing
        if came and record.last_settled_at == market.ts:
            actions = [a for a in market.actions if a.symbol in came]
            account = books.after_actions(books.book_of(record), actions, step)
            self._settle_account(record, market, account, books.restated(record, actions, step), ())

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
        after = self._ledger.load(self.spec)
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
        if not known:
            return record
        self._record_orders(record, known)
        return self._ledger.load(self.spec)

    def _cancelled(self, order: Order, why: str) -> Order | None:
        # PENDING too: the process may have died after sending and before writing that down.
        if self._lanes.holds(order.id):
            return None  # what the broker says of it now may be over in a moment
        try:
            if self._broker.order(order.id) is None:
                return order.with_status(OrderStatus.CANCELLED, f"{why}; the broker never saw it")
            return confirmed(order, self._broker.cancel(order.id))
        except Unavailable as error:
            if order.id not in self._told:  # it is tried again every second; a person hears of it once
                self._told.add(order.id)
                self._tell(Alert(f"{self.spec.name}: order {order.id} could not be cancelled", str(error)))
            return None

    def _record_orders(self, record: PortfolioRecord, orders: Sequence[Order]) -> None:
        at = record.last_settled_at or orders[0].decided_at
        positions = tuple(record.positions.values())
        self._ledger.settle(Settlement(self.spec.name, at, tuple(orders), (), record.cash_usd, positions, None))
