"""A person is told when, and only when, there is something to do."""

from dataclasses import replace

from alphamill.domain.decisions import Decision, Refusal, TradingState
from alphamill.monitoring import alerts
from alphamill.testing.decisions import SYMBOLS, sample_decision, sample_spec

SPEC = sample_spec()


def refused(code: str, *symbols: str) -> Decision:
    return replace(sample_decision(1), refusals=tuple(Refusal(s, code, "two days old") for s in symbols))


def test_change_of_state_names_reason_and_meaning() -> None:
    alert = alerts.state_changed("demo", TradingState.ACTIVE, TradingState.HALTED, "operator")
    assert alert is not None
    assert alert.title == "demo is now HALTED"
    assert alert.body == "Was ACTIVE. Reason: operator. It sends no orders. Positions stay as they are."
    assert alerts.state_changed("demo", TradingState.HALTED, TradingState.HALTED, "again") is None


def test_differences_are_listed() -> None:
    alert = alerts.reconciliation_differs("demo", ["AAPL: ledger 3, broker 5", "cash: ledger 1, broker 2"])
    assert alert is not None
    assert alert.body.endswith("- AAPL: ledger 3, broker 5\n- cash: ledger 1, broker 2")
    assert alerts.reconciliation_differs("demo", []) is None


def test_unusable_features_alert_only_when_no_symbol_is_left() -> None:
    assert alerts.of_decision(refused("STALE_FEATURES", *SYMBOLS[:-1]), SPEC) == []
    mixed = replace(
        refused("STALE_FEATURES", *SYMBOLS[:-1]),
        refusals=(*refused("STALE_FEATURES", *SYMBOLS[:-1]).refusals, *refused("MISSING_FEATURES", "MSFT").refusals),
    )
    (alert,) = alerts.of_decision(mixed, SPEC)
    assert alert.title == "demo: no usable features"
    assert "all 5 symbols were stale or missing, for example AAPL: two days old" in alert.body


def test_another_model_than_the_one_expected_alerts() -> None:
    (alert,) = alerts.of_decision(refused("MODEL_MISMATCH", *SYMBOLS), SPEC)
    assert alert.title == "demo: another model answers than the one expected"
    assert "two days old" in alert.body


def test_unusable_features_alert_though_another_symbol_is_delisted() -> None:
    gone = refused("DELISTED", SYMBOLS[0]).refusals
    decision = replace(sample_decision(1), refusals=(*gone, *refused("STALE_FEATURES", *SYMBOLS[1:]).refusals))
    (alert,) = alerts.of_decision(decision, SPEC)
    assert "all 4 symbols were stale or missing" in alert.body
    assert alerts.of_decision(refused("DELISTED", *SYMBOLS), SPEC) == []


def test_forecaster_down_is_told_in_plain_words() -> None:
    (alert,) = alerts.of_decision(refused("FORECASTER_UNAVAILABLE", *SYMBOLS), SPEC)
    assert alert.title == "demo: the forecaster does not answer"
    assert alerts.of_decision(refused("HALTED", "*"), SPEC) == []
