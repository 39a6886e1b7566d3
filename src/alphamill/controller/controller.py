"""One portfolio's controller: settle the last orders, decide, commit, then send. Backtest and live run this."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from alphamill.controller.inputs import DecisionInputs, gather, refuse_all
from alphamill.controller.market import Market, history_refusals
from alphamill.controller.plan import Plan, plan_from_forecasts, plan_to_weights, risk_context
from alphamill.controller.targets import require_valid_targets
from alphamill.domain.decisions import Decision, Refusal, TradingState
from alphamill.domain.history import BarHistory
from alphamill.domain.ledger import NavPoint, PortfolioRecord, Settlement
from alphamill.domain.orders import Order, OrderStatus
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError, Halted, NotReconciled, Unavailable
from alphamill.execution import Account, collect, reconcile, send_orders
from alphamill.execution.sending import confirmed
from alphamill.monitoring.alerts import Alert, of_decision, reconciliation_differs, state_changed
from alphamill.ports import Broker, FeatureStore, Forecaster, Ledger, Notifier
from alphamill.risk import Rules, default_rules, next_state

EMPTY = Plan({}, {}, (), ())


class PortfolioController:
    """Turns each closed session into at most one decision, and each decision into orders sent once.

    Parameters
    ----------
    spec
        What is traded and what stops it.
    history
        Bars up to the session being decided; shared with the loop that appends to it.
    rules
        Risk rules; the default set of `spec` when None.
    """

    def __init__(
        self,
        spec: PortfolioSpec,
        *,
        features: FeatureStore,
        forecaster: Forecaster,
        broker: Broker,
        ledger: Ledger,
        history: BarHistory,
        notifier: Notifier,
        rules: Rules | None = None,
    ) -> None:
        self.spec = spec
        self._features = features
        self._forecaster = forecaster
        self._broker = broker
        self._ledger = ledger
        self._history = history
        self._notifier = notifier
        self._rules = default_rules(spec) if rules is None else rules

    def open(self, market: Market) -> PortfolioRecord:
        """Write the opening point of a new portfolio, so that a restart knows where trading began."""
        record = self._ledger.load(self.spec)
        if record.last_settled_at is None:
            self._ledger.commit_decision(self._decision(record, market, "opening"))
            nav = NavPoint(market.ts, record.cash_usd, record.cash_usd)
            self._ledger.settle(Settlement(self.spec.name, market.ts, (), (), record.cash_usd, (), nav))
        return self._ledger.load(self.spec)

    def settled_at(self) -> datetime | None:
        """Close of the last session this portfolio settled; None while it was never opened."""
        return self._ledger.load(self.spec).last_settled_at

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
            record = self._cancel(self._settle(record, market), "its open has passed")
        if record.last_decision_at is not None and record.last_decision_at >= market.ts:
            return None
        decision = self._decide(record, market, late)
        self._ledger.commit_decision(decision)
        if decision.orders:
            self.send_committed()
        for alert in of_decision(decision, self.spec):
            self._tell(alert)
        return decision

    def update_target(self, weights: Mapping[str, float], market: Market, *, late: str | None = None) -> Decision:
        """Make `weights` the new target: a decision like any other, replacing orders that are still open.

        Raises
        ------
        UnknownSymbol, InvalidWeights
            Before anything is written.
        Halted, NotReconciled
            When no order may be sent.
        """
        require_valid_targets(self.spec, weights)
        record = self._ledger.load(self.spec)
        if record.state is TradingState.HALTED:
            raise Halted(f"portfolio {self.spec.name} is HALTED: {record.state_reason}.", remedy="Resume it first.")
        differences = reconcile(record, self._broker)
        if differences:
            raise NotReconciled(f"ledger and broker disagree: {'; '.join(differences)}.", remedy="Settle this first.")
        record = self._cancel(record, "replaced by a manual target")
        if record.open_orders:
            raise NotReconciled(_in_doubt(record), remedy="Ask the broker about them; nothing new is sent meanwhile.")
        at = max(market.ts, (record.last_decision_at or market.ts) + timedelta(microseconds=1))
        context = replace(risk_context(self.spec, record, market, record.state), decided_at=at)
        targets = {symbol: weights.get(symbol, 0.0) for symbol in self.spec.universe.symbols if symbol in market.prices}
        said = dict.fromkeys(targets, "manual target")
        current = market.weights(record.positions, record.nav_usd)
        plan = EMPTY if late else plan_to_weights(context, self._rules, current, targets, {}, said, set())
        refusals = (Refusal("*", "TOO_LATE", late),) if late else ()
        decision = self._decision(record, replace(market, ts=at), "manual", plan=plan, refusals=refusals)
        self._ledger.commit_decision(decision)
        self.send_committed()
        return decision

    def send_committed(self, *, late: str | None = None) -> None:
        """Send what is committed and not yet answered. The state is read again: a halt in between holds.

        An order never sent is cancelled when it is `late`; one in flight is asked for either way.
        """
        record = self.enforce_state()
        if late:
            record = self._cancel(record, late, [o for o in record.open_orders if o.status is OrderStatus.PENDING])
        waiting = [o for o in record.open_orders if o.status in (OrderStatus.PENDING, OrderStatus.IN_FLIGHT)]
        if waiting and record.state is not TradingState.HALTED:
            self._record_orders(record, send_orders(waiting, self._broker))

    def enforce_state(self) -> PortfolioRecord:
        """Cancel open orders the state forbids: all when HALTED, those raising exposure when REDUCING."""
        record = self._ledger.load(self.spec)
        if record.state is TradingState.ACTIVE:
            return record
        halted = record.state is TradingState.HALTED
        forbidden = [o for o in record.open_orders if halted or _raises_exposure(o, record)]
        return self._cancel(record, f"portfolio is {record.state}", forbidden)

    def _settle(self, record: PortfolioRecord, market: Market) -> PortfolioRecord:
        orders, fills = collect(record, self._broker)
        account = Account(record.cash_usd, record.positions)
        for action in market.actions:
            account = account.apply_action(
                action.symbol, action.price_factor, action.split_factor, action.previous_close
            )
        for fill in fills:
            account = account.apply(fill)
        nav = NavPoint(market.ts, account.nav(market.prices), account.cash_usd)
        positions = tuple(account.positions.values())
        self._ledger.settle(
            Settlement(self.spec.name, market.ts, tuple(orders), tuple(fills), account.cash_usd, positions, nav)
        )
        return self._ledger.load(self.spec)

    def _decide(self, record: PortfolioRecord, market: Market, late: str | None) -> Decision:
        state = self._trip(record, market)
        record = replace(record, state=state)
        stopped = self._stopped(record, market, late)
        if stopped:
            return self._decision(record, market, "model", refusals=stopped)
        symbols = self.spec.universe.symbols
        short = history_refusals(self._history, symbols, market.ts, self.spec.sizing.covariance_bars)
        usable = [s for s in symbols if s not in {r.symbol for r in short}]
        inputs = gather(self.spec, usable, market.ts, self._features, self._forecaster)
        refusals = (*short, *inputs.refusals)
        try:
            plan = self._plan(record, market, inputs, refusals)
        except AlphamillError as error:
            refused = {r.symbol for r in refusals}
            refusals = (*refusals, *refuse_all([s for s in symbols if s not in refused], error))
            plan = EMPTY
        return self._decision(record, market, "model", inputs, plan, refusals)

    def _stopped(self, record: PortfolioRecord, market: Market, late: str | None) -> tuple[Refusal, ...]:
        """Why nothing may be sent at all; one refusal for the whole portfolio."""
        if record.state is TradingState.HALTED:
            return (Refusal("*", "HALTED", record.state_reason),)
        if late:
            return (Refusal("*", "TOO_LATE", late),)
        if market.bars_seen % self.spec.schedule.every_bars:
            return (Refusal("*", "NOT_SCHEDULED", f"decides every {self.spec.schedule.every_bars} bars"),)
        differences = [_in_doubt(record)] if record.open_orders else reconcile(record, self._broker)
        if differences:
            self._tell(reconciliation_differs(self.spec.name, differences))
            return (Refusal("*", "NOT_RECONCILED", "; ".join(differences)),)
        return ()

    def _plan(
        self, record: PortfolioRecord, market: Market, inputs: DecisionInputs, refusals: Sequence[Refusal]
    ) -> Plan:
        held = {r.symbol for r in refusals}
        context = risk_context(self.spec, record, market, record.state)
        current = market.weights(record.positions, record.nav_usd)
        if not inputs.forecasts:
            return plan_to_weights(context, self._rules, current, {}, {}, {}, held)
        symbols = [f.symbol for f in inputs.forecasts]
        returns = self._history.adjusted_returns(symbols, self.spec.sizing.covariance_bars)
        return plan_from_forecasts(context, self._rules, current, inputs.forecasts, returns, held)

    def _trip(self, record: PortfolioRecord, market: Market) -> TradingState:
        state, reason = next_state(risk_context(self.spec, record, market, record.state))
        if state is not record.state:
            # A person may have halted since the record was read; a rule must not soften that.
            now = self._ledger.load(self.spec).state
            if now is not record.state:
                return now
            self._ledger.set_state(self.spec.name, state, reason, market.ts)
            self._tell(state_changed(self.spec.name, record.state, state, reason))
        return state

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
        try:
            if self._broker.order(order.id) is None:
                return order.with_status(OrderStatus.CANCELLED, f"{why}; the broker never saw it")
            return confirmed(order, self._broker.cancel(order.id))
        except Unavailable as error:
            self._tell(Alert(f"{self.spec.name}: order {order.id} could not be cancelled", str(error)))
            return None

    def _record_orders(self, record: PortfolioRecord, orders: Sequence[Order]) -> None:
        at = record.last_settled_at or orders[0].decided_at
        positions = tuple(record.positions.values())
        self._ledger.settle(Settlement(self.spec.name, at, tuple(orders), (), record.cash_usd, positions, None))

    def _decision(
        self,
        record: PortfolioRecord,
        market: Market,
        source: str,
        inputs: DecisionInputs | None = None,
        plan: Plan = EMPTY,
        refusals: tuple[Refusal, ...] = (),
    ) -> Decision:
        signature = inputs.signature if inputs else None
        content = f"{self.spec.name}|{market.ts.isoformat()}|{source}"
        return Decision(
            id=f"dec_{hashlib.sha256(content.encode()).hexdigest()[:24]}",
            portfolio=self.spec.name,
            decided_at=market.ts,
            source=source,
            state=record.state,
            data_version=market.data_version,
            model_version=f"{signature.name}-{signature.version}" if signature else "",
            run_id=signature.run_id if signature else "",
            nav_usd=record.nav_usd,
            prices=market.prices,
            snapshots=inputs.snapshots if inputs else (),
            forecasts=inputs.forecasts if inputs else (),
            signals=plan.signals,
            weights_before=market.weights(record.positions, record.nav_usd),
            target_weights=plan.target_weights,
            rules=plan.rules,
            refusals=refusals,
            orders=plan.orders,
        )


def _in_doubt(record: PortfolioRecord) -> str:
    return f"orders in doubt: {', '.join(order.id for order in record.open_orders)}"


def _raises_exposure(order: Order, record: PortfolioRecord) -> bool:
    position = record.positions.get(order.symbol)
    held = position.quantity if position else Decimal(0)
    return abs(held + order.side.sign * order.quantity) > abs(held)
