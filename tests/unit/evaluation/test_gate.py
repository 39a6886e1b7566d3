"""The gate on models whose true worth is known."""

import math
from typing import Any

import pytest

from alphamill.evaluation import EvaluationSummary, Gate, GateVerdict, Thresholds

PAPER, LIVE = Gate("paper"), Gate("live")


def failed(verdict: GateVerdict) -> set[str]:
    return {check.name for check in verdict.failed}


def test_an_intact_first_model_is_accepted_for_paper_only(make_panel: Any, make_summary: Any) -> None:
    verdict = PAPER.judge(make_summary(make_panel(0.03)), None)
    assert (verdict.accepted, verdict.approved_for) == (True, "paper")
    assert "paper trading only" in verdict.summary
    assert not verdict.compared_with_champion


@pytest.mark.parametrize("seed", range(5))
def test_a_random_model_is_never_approved_for_live(make_panel: Any, make_summary: Any, seed: int) -> None:
    # Even when its backtest was lucky.
    verdict = LIVE.judge(make_summary(make_panel(0.0, seed=seed), sharpe=4.0, trials=1), None)
    assert (verdict.accepted, verdict.approved_for) == (False, "none")
    assert "significant RankIC" in failed(verdict)


def test_a_good_model_is_approved_for_live(make_panel: Any, make_summary: Any) -> None:
    verdict = LIVE.judge(make_summary(make_panel(0.15), sharpe=2.5), None)
    assert (verdict.accepted, verdict.approved_for, failed(verdict)) == (True, "live", set())


def test_live_refuses_a_model_below_its_best_baseline(
    make_panel: Any, make_summary: Any, make_performance: Any
) -> None:
    summary = make_summary(make_panel(0.15), sharpe=2.5, baselines={"equal weight": make_performance(2.6)})
    verdict = LIVE.judge(summary, None)
    assert failed(verdict) == {"beats the best baseline"}
    assert "equal weight" in verdict.summary


def test_live_refuses_a_model_without_baselines(make_panel: Any, make_summary: Any) -> None:
    assert failed(LIVE.judge(make_summary(make_panel(0.15), sharpe=2.5, baselines={}), None)) == {
        "beats the best baseline"
    }


def test_many_trials_cost_the_live_approval(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.15)
    assert LIVE.judge(make_summary(panel, sharpe=1.2, trials=1), None).accepted
    assert failed(LIVE.judge(make_summary(panel, sharpe=1.2, trials=1000), None)) == {"deflated Sharpe"}


@pytest.mark.parametrize("gate", [PAPER, LIVE])
def test_a_leaked_model_is_refused_for_anything(gate: Gate, make_panel: Any, make_summary: Any) -> None:
    verdict = gate.judge(make_summary(make_panel(0.6), sharpe=5.0), None)
    assert verdict.approved_for == "none"
    assert "plausible RankIC" in failed(verdict)
    assert "leak" in verdict.summary


def test_too_many_right_signs_are_a_suspected_leak(make_panel: Any, make_summary: Any) -> None:
    lenient = Gate("paper", Thresholds(max_rank_ic=1.0))
    assert failed(lenient.judge(make_summary(make_panel(0.6)), None)) == {"plausible accuracy"}


def test_too_few_days_are_refused(make_panel: Any, make_summary: Any) -> None:
    assert failed(PAPER.judge(make_summary(make_panel(0.05, days=100)), None)) == {"enough days"}


@pytest.mark.parametrize("spread", [0.4, 3.0])
def test_intervals_that_do_not_hold_are_refused(make_panel: Any, make_summary: Any, spread: float) -> None:
    assert failed(PAPER.judge(make_summary(make_panel(0.05, spread=spread)), None)) == {"interval coverage"}


def test_constant_forecasts_are_refused(make_panel: Any, make_summary: Any) -> None:
    verdict = PAPER.judge(make_summary(make_panel(0.05).with_columns(mean=0.001)), None)
    assert {"enough days", "plausible RankIC"} <= failed(verdict)


def test_a_number_that_is_not_finite_is_refused_after_json_too(make_panel: Any, make_summary: Any) -> None:
    good = make_summary(make_panel(0.05))
    spoiled = good.model_copy(update={"performance": good.performance.model_copy(update={"cagr": math.nan})})
    again = EvaluationSummary.model_validate_json(spoiled.model_dump_json())
    verdict = PAPER.judge(again, None)
    assert failed(verdict) == {"finite numbers"}
    assert "performance.cagr" in verdict.summary


@pytest.mark.parametrize("gate", [PAPER, LIVE])
def test_a_worse_model_never_replaces_the_champion(gate: Gate, make_panel: Any, make_summary: Any) -> None:
    champion = make_summary(make_panel(0.15, seed=1), sharpe=2.5)
    verdict = gate.judge(make_summary(make_panel(0.03, seed=2), sharpe=2.5), champion)
    assert not verdict.accepted
    assert {"RankIC against champion", "better in one respect"} & failed(verdict)


@pytest.mark.parametrize("gate", [PAPER, LIVE])
def test_a_better_model_replaces_the_champion(gate: Gate, make_panel: Any, make_summary: Any) -> None:
    champion = make_summary(make_panel(0.02, seed=1), sharpe=0.3)
    verdict = gate.judge(make_summary(make_panel(0.15, seed=2), sharpe=2.5), champion)
    assert (verdict.approved_for, failed(verdict)) == (gate.profile, set())
    assert verdict.compared_with_champion


def test_the_same_model_trained_again_is_not_worse(make_panel: Any, make_summary: Any) -> None:
    summary = make_summary(make_panel(0.03))
    assert PAPER.judge(summary, summary).accepted


def test_same_ranks_but_dishonest_spreads_do_not_replace_the_champion(make_panel: Any, make_summary: Any) -> None:
    champion = make_summary(make_panel(0.1))
    verdict = PAPER.judge(make_summary(make_panel(0.1, spread=1.35)), champion)
    assert failed(verdict) == {"likelihood against champion"}


def test_slightly_worse_in_both_respects_is_worse(make_panel: Any, make_summary: Any) -> None:
    champion = make_summary(make_panel(0.06, seed=1))
    panel = make_panel(0.06, seed=1)
    # Reverse the order of names on one day and widen the spread by a hair: insignificant, but worse.
    first = panel["ts"].min()
    dulled = panel.with_columns(
        mean=(panel["ts"] == first).replace_strict({True: -1.0, False: 1.0}) * panel["mean"], std=panel["std"] * 1.02
    )
    sign = champion.forecast.daily.rank_ic[0]
    assert sign is not None
    verdict = PAPER.judge(make_summary(dulled), champion)
    assert ("better in one respect" in failed(verdict)) == (sign > 0)


@pytest.mark.parametrize("change", [{"data_version": "13"}, {"horizon_bars": 5}])
def test_a_champion_measured_on_other_ground_must_be_measured_again(
    make_panel: Any, make_summary: Any, change: dict[str, Any]
) -> None:
    panel = make_panel(0.05)
    verdict = PAPER.judge(make_summary(panel), make_summary(panel, **change))
    assert failed(verdict) == {"same data as the champion"}
    assert "evaluate the champion again" in verdict.summary


def test_models_must_share_most_of_their_days(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.05)
    late = panel.filter(panel["ts"] >= panel["ts"].median())
    assert "days in common" in failed(PAPER.judge(make_summary(panel), make_summary(late)))


def test_models_without_a_common_day_cannot_be_compared(make_panel: Any, make_summary: Any) -> None:
    panel = make_panel(0.05, days=400)
    middle = panel["ts"].median()
    first, second = panel.filter(panel["ts"] < middle), panel.filter(panel["ts"] >= middle)
    verdict = PAPER.judge(make_summary(first), make_summary(second))
    assert {"days in common", "RankIC against champion", "better in one respect"} <= failed(verdict)


def test_paper_shows_the_live_checks_without_requiring_them(make_panel: Any, make_summary: Any) -> None:
    verdict = PAPER.judge(make_summary(make_panel(0.0), sharpe=0.1), None)
    shown = {check.name: check for check in verdict.checks}
    assert verdict.accepted
    assert not shown["deflated Sharpe"].passed
    assert not shown["deflated Sharpe"].required
    assert "would not pass for live money" in verdict.summary


def test_a_verdict_survives_json(make_panel: Any, make_summary: Any) -> None:
    verdict = LIVE.judge(make_summary(make_panel(0.05)), None)
    assert GateVerdict.model_validate_json(verdict.model_dump_json()) == verdict
