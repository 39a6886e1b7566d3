"""Every metric of Alphamill, declared in one place. Made on demand: nothing is registered at import."""

import datetime as dt
from collections import Counter as Tally
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from alphamill.domain.decisions import Decision, TradingState, Verdict
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order

#: From a forecast of one name (ms) to a decision over hundreds (s).
LATENCY_BUCKETS_SECS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one process.

    Parameters
    ----------
    registry
        Where they are registered; a new registry per process or test. The same metric twice in one registry
        raises `ValueError` (from prometheus_client).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.bars_received = self._counter("bars_received", "Bars that reached a door.", "source")
        self.bars_quarantined = self._counter("bars_quarantined", "Bars that broke a rule, by its code.", "reason")
        self.bars_refused = self._counter("bars_refused", "Bars refused at the door, by error code.", "reason")
        self.decisions = self._counter("decisions", "Decisions committed.", "portfolio", "source")
        self.orders = self._counter("orders", "Times an order took a status.", "portfolio", "status")
        self.denials = self._counter("denials", "Symbols denied by a risk rule, by its code.", "portfolio", "code")
        self.refusals = self._counter("refusals", "Symbols left alone, by error code.", "portfolio", "code")
        self.engine_failures = self._counter("engine_failures", "Failed rounds of the engine, by error code.", "code")
        self.notification_failures = self._counter("notification_failures", "Messages that did not reach a person.")
        self.nav_usd = self._gauge("nav_usd", "Net asset value at the last settled close.", "portfolio")
        self.drawdown_pct = self._gauge("drawdown_pct", "Loss from the peak NAV.", "portfolio")
        self.state = self._gauge("portfolio_state", "1 for the state the portfolio is in.", "portfolio", "state")
        self.data_age_secs = self._gauge("data_age_secs", "Age of the newest bar at the decision.", "portfolio")
        self.feature_age_secs = self._gauge("feature_age_secs", "Age of the oldest feature used.", "portfolio")
        self.forecast_secs = self._histogram("forecast_secs", "Time the forecaster took to answer.")
        self.decision_secs = self._histogram("decision_secs", "Time from a closed bar to committed orders.")

    def on_decision(self, decision: Decision, *, at: dt.datetime) -> None:
        """Count a committed decision; `at` is now. The age of features is that of the oldest snapshot used."""
        name = decision.portfolio
        self.decisions.labels(name, decision.source).inc()
        denied = Tally(rule.code for rule in decision.rules if rule.verdict is Verdict.DENY)
        for code, count in denied.items():
            self.denials.labels(name, code).inc(count)
        for code, count in Tally(refusal.code for refusal in decision.refusals).items():
            self.refusals.labels(name, code).inc(count)
        self.data_age_secs.labels(name).set((at - decision.decided_at).total_seconds())
        if decision.snapshots:
            oldest = min(snapshot.ts for snapshot in decision.snapshots)
            self.feature_age_secs.labels(name).set((at - oldest).total_seconds())

    def on_orders(self, orders: Sequence[Order]) -> None:
        """Count the status each order has just taken."""
        for order in orders:
            self.orders.labels(order.portfolio, order.status.value).inc()

    def on_quarantined(self, reasons: Mapping[str, int]) -> None:
        """Count bars that a batch kept apart or a door refused, by the code of the rule they break."""
        for reason, count in reasons.items():
            self.bars_quarantined.labels(reason).inc(count)

    def on_record(self, record: PortfolioRecord) -> None:
        """Show what the ledger says of a portfolio: NAV, drawdown, state."""
        self.nav_usd.labels(record.name).set(float(record.nav_usd))
        self.drawdown_pct.labels(record.name).set(100.0 * float(1 - record.nav_usd / record.peak_nav_usd))
        for state in TradingState:
            self.state.labels(record.name, state.value).set(state is record.state)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"alphamill_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"alphamill_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"alphamill_{name}", text, buckets=LATENCY_BUCKETS_SECS, registry=self.registry)
