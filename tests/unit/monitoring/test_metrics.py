"""Metrics count what happened."""

import datetime as dt
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.decisions import Refusal, RuleResult, TradingState, Verdict
from alphamill.domain.orders import OrderStatus
from alphamill.monitoring import Metrics
from alphamill.testing.decisions import sample_decision, sample_spec


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"alphamill_{name}", labels)


def test_decision_is_counted_with_its_denials_refusals_and_orders(metrics: Metrics) -> None:
    denials = tuple(RuleResult("notional", s, Verdict.DENY, "TOO_LARGE", "") for s in ("AAPL", "IBM"))
    passed = RuleResult("notional", "FB", Verdict.PASS, "TOO_LARGE", "")
    refusal = Refusal("GOOG", "STALE_FEATURES", "old")
    decision = replace(sample_decision(1), rules=(*denials, passed), refusals=(refusal,))
    metrics.on_decision(decision, at=decision.decided_at + timedelta(seconds=7))
    metrics.on_orders(decision.orders)
    assert value(metrics, "decisions_total", portfolio="demo", source="model") == 1
    assert value(metrics, "denials_total", portfolio="demo", code="TOO_LARGE") == 2
    assert value(metrics, "refusals_total", portfolio="demo", code="STALE_FEATURES") == 1
    assert value(metrics, "orders_total", portfolio="demo", status="pending") == 5
    assert value(metrics, "data_age_secs", portfolio="demo") == 7
    assert value(metrics, "feature_age_secs", portfolio="demo") == 7


def test_feature_age_is_that_of_the_oldest_snapshot(metrics: Metrics) -> None:
    decision = sample_decision(1)
    old = replace(decision.snapshots[0], ts=decision.decided_at - timedelta(days=1))
    metrics.on_decision(replace(decision, snapshots=(*decision.snapshots, old)), at=decision.decided_at)
    assert value(metrics, "feature_age_secs", portfolio="demo") == 86_400
    metrics.on_decision(replace(decision, portfolio="blind", snapshots=(), orders=()), at=decision.decided_at)
    assert value(metrics, "feature_age_secs", portfolio="blind") is None


def test_record_shows_nav_drawdown_and_one_state(metrics: Metrics) -> None:
    record = InMemoryLedger().register(sample_spec(), dt.datetime(2012, 1, 2, tzinfo=dt.UTC))
    metrics.on_record(replace(record, nav_usd=Decimal(75_000), state=TradingState.REDUCING))
    assert value(metrics, "nav_usd", portfolio="demo") == 75_000
    assert value(metrics, "drawdown_pct", portfolio="demo") == 25
    states = {s: value(metrics, "portfolio_state", portfolio="demo", state=s.value) for s in TradingState}
    assert states == {TradingState.ACTIVE: 0, TradingState.REDUCING: 1, TradingState.HALTED: 0}


def test_order_statuses_are_counted_as_they_are_taken(metrics: Metrics) -> None:
    metrics.on_orders([order.with_status(OrderStatus.REJECTED) for order in sample_decision(1).orders[:2]])
    assert value(metrics, "orders_total", portfolio="demo", status="rejected") == 2


def test_bars_failures_and_latencies_are_exposed(metrics: Metrics) -> None:
    metrics.bars_received.labels("api").inc(3)
    metrics.bars_quarantined.labels("high_below_low").inc()
    metrics.bars_refused.labels("INVALID_BAR").inc()
    metrics.engine_failures.labels(code="UNEXPECTED").inc()
    metrics.notification_failures.inc()
    metrics.forecast_secs.observe(0.004)
    metrics.decision_secs.observe(0.04)
    text = generate_latest(metrics.registry).decode()
    for line in (
        'alphamill_bars_received_total{source="api"} 3.0',
        'alphamill_bars_quarantined_total{reason="high_below_low"} 1.0',
        'alphamill_bars_refused_total{reason="INVALID_BAR"} 1.0',
        'alphamill_engine_failures_total{code="UNEXPECTED"} 1.0',
        "alphamill_notification_failures_total 1.0",
        'alphamill_forecast_secs_bucket{le="0.005"} 1.0',
        'alphamill_decision_secs_bucket{le="0.025"} 0.0',
    ):
        assert line in text


def test_two_processes_worth_of_metrics_live_side_by_side(metrics: Metrics) -> None:
    other = Metrics(CollectorRegistry())
    other.notification_failures.inc()
    assert value(metrics, "notification_failures_total") == 0
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(other.registry)
