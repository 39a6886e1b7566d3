"""What the gate did not approve does not trade: every symbol is refused by name, and nothing is sent."""

from dataclasses import replace
from typing import Any

import pytest

from alphamill.domain.approval import allows, approval_of
from alphamill.domain.orders import Side
from alphamill.domain.portfolios import RiskLimits


@pytest.mark.parametrize(
    ("approved_for", "kind", "trades"),
    [
        ("none", "paper", False),
        ("none", "live", False),
        ("paper", "paper", True),
        ("paper", "live", False),
        ("live", "paper", True),
        ("live", "live", True),
    ],
)
def test_a_model_trades_only_where_the_gate_approved_it(
    system: Any, monkeypatch: pytest.MonkeyPatch, approved_for: Any, kind: Any, trades: bool
) -> None:
    assert allows(approved_for, kind) is trades
    signature, venue = system.forecaster.signature(), system.broker.capabilities()
    monkeypatch.setattr(system.forecaster, "_signature", replace(signature, approved_for=approved_for))
    monkeypatch.setattr(system.broker, "capabilities", lambda: replace(venue, kind=kind))
    system.run(system.ahead[0])
    decision = system.last_decision()
    assert bool(decision.orders) is trades
    if trades:
        assert decision.refusals == ()
        return
    assert [(r.symbol, r.code) for r in decision.refusals] == [
        (symbol, "MODEL_NOT_APPROVED") for symbol in system.spec.universe.symbols
    ]
    said = f"model forecaster-1 is approved for {approved_for}, the venue is {kind}."
    assert all(r.detail.startswith(said) for r in decision.refusals)
    assert all(system.broker.order(o.id) is None for o in decision.orders)


def test_a_model_that_loses_its_approval_can_still_be_sold(system_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    system = system_with(risk=RiskLimits(stop_loss_pct=0.0001))
    system.run(system.ahead[0])
    signature = system.forecaster.signature()
    monkeypatch.setattr(system.forecaster, "_signature", replace(signature, approved_for="none"))
    sold: list[Side] = []
    for session in system.ahead[1:4]:
        system.run(session)
        sold += [order.side for order in system.last_decision().orders]
    assert set(sold) == {Side.SELL}


@pytest.mark.parametrize("said", [None, "", "LIVE", "Paper", "everything", 1, True])
def test_what_is_no_approval_is_none(said: object) -> None:
    assert approval_of(said) == "none"


def test_a_switch_to_a_model_without_approval_in_the_middle_refuses_its_answer(
    system: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = system.forecaster.signature()
    monkeypatch.setattr(system.forecaster, "signature", lambda: approved)
    monkeypatch.setattr(system.forecaster, "_signature", replace(approved, version="2", approved_for="none"))
    system.run(system.ahead[0])
    decision = system.last_decision()
    assert {r.code for r in decision.refusals} == {"MODEL_NOT_APPROVED"}
    assert (len(decision.refusals), decision.orders, decision.model_version) == (3, (), "")
