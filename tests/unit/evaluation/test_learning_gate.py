"""The gate before models that were really trained: what it must accept, what it must refuse, and why."""

from dataclasses import replace

import pytest

from alphamill.errors import InvalidConfig
from alphamill.evaluation import Gate
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.features import MODEL_FEATURES
from alphamill.proofs.learning_gate import (
    GATE_SIZE,
    PEEK,
    SIGNAL_IC,
    Candidate,
    GateTrial,
    candidates,
    measured,
    shipped,
    try_gate,
    unpurged,
)
from alphamill.proofs.learning_runs import FEATURES, HORIZON, market
from alphamill.proofs.training_audit import audit_training
from alphamill.training import WalkForward

SEED = 0


@pytest.fixture(scope="module")
def trials() -> dict[tuple[str, str], GateTrial]:
    return {(trial.name, trial.against): trial for trial in try_gate(SEED)}


@pytest.fixture(scope="module")
def made() -> dict[str, Candidate]:
    return candidates(market(GATE_SIZE, SIGNAL_IC, SEED).bars)


def reasons(trial: GateTrial) -> set[str]:
    return {check.name for check in trial.verdict.failed}


def test_the_gate_accepts_the_better_model_and_refuses_the_others(trials: dict[tuple[str, str], GateTrial]) -> None:
    assert [trial.name for trial in trials.values() if not trial.holds] == []
    assert sum(trial.verdict.accepted for trial in trials.values()) == 1


def test_a_worse_model_is_refused_for_what_it_does_worse(trials: dict[tuple[str, str], GateTrial]) -> None:
    assert "better in one respect" in reasons(trials["overfitted network", "careful fit"])


def test_a_random_model_is_refused_with_and_without_a_champion(trials: dict[tuple[str, str], GateTrial]) -> None:
    assert "RankIC against champion" in reasons(trials["features that say nothing", "careful fit"])
    assert "significant RankIC" in reasons(trials["features that say nothing", "no champion"])


@pytest.mark.parametrize("leak", ["leak: window ends a bar late", "leak: folds without purge"])
def test_a_leak_with_believable_numbers_is_caught_by_the_audit_alone(
    trials: dict[tuple[str, str], GateTrial], leak: str
) -> None:
    trial = trials[leak, "careful fit"]
    assert reasons(trial) == {"no look-ahead"}
    assert "looks ahead" in trial.verdict.summary


def test_a_target_among_the_features_is_caught_twice(trials: dict[tuple[str, str], GateTrial]) -> None:
    assert {"no look-ahead", "plausible RankIC"} <= reasons(trials["leak: target in features", "careful fit"])


def test_the_verdict_names_what_looks_ahead(trials: dict[tuple[str, str], GateTrial]) -> None:
    assert PEEK in trials["leak: window ends a bar late", "careful fit"].verdict.summary


def test_a_model_that_nobody_audited_is_refused(made: dict[str, Candidate]) -> None:
    bars = market(GATE_SIZE, SIGNAL_IC, SEED).bars
    summary = measured(made["careful fit"], bars, SEED)
    assert Gate("paper").judge(summary, None).accepted
    verdict = Gate("paper").judge(summary.model_copy(update={"lookahead": None}), None)
    assert {check.name for check in verdict.failed} == {"no look-ahead"}
    assert EvaluationSummary.model_validate_json(summary.model_dump_json()) == summary


def test_the_splits_refuse_to_leave_the_purge_out(made: dict[str, Candidate]) -> None:
    with pytest.raises(InvalidConfig, match="training labels would reach into the test window"):
        WalkForward(3, HORIZON).split(made["careful fit"].dataset)


def test_rows_that_the_bars_do_not_give_are_found(made: dict[str, Candidate]) -> None:
    bars, honest = market(GATE_SIZE, SIGNAL_IC, SEED).bars, made["careful fit"]
    x = honest.dataset.x.copy()
    x[700, 0] += 1e-6
    touched = replace(honest.dataset, x=x)
    audit = audit_training(bars, touched, honest.features, horizon_bars=HORIZON, seed=1)
    assert (audit.differing, audit.holds) == (1, False)
    assert "training row volume_zscore_21" in audit.worst
    assert unpurged(honest.dataset).horizon_bars == 1


def test_the_shipped_features_pass_the_audit() -> None:
    bars = market(GATE_SIZE, SIGNAL_IC, SEED).bars
    honest = candidates(bars)["careful fit"]
    audit = audit_training(bars, honest.dataset, shipped(MODEL_FEATURES), horizon_bars=HORIZON, seed=1)
    assert audit.holds
    assert audit.compared > len(honest.dataset) * len(FEATURES)
