"""The harness of benchmarks/: turns are fair, ratios and aims are what they say, the page is its data and prose."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import page
from benchmarks.measure import Timing, interleave, same
from benchmarks.section import Aim, Row, Section, Table, figure, row


def test_contestants_take_turns_and_the_first_one_changes() -> None:
    calls: list[str] = []
    timings = interleave({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4, warm_up=0)
    assert calls == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert len(timings["a"].wall) == len(timings["b"].cpu) == 4


def test_warm_up_runs_but_does_not_count() -> None:
    counter = itertools.count()
    timings = interleave({"a": lambda: next(counter)}, rounds=3, warm_up=2)
    assert (next(counter), len(timings["a"].wall)) == (5, 3)


def test_no_round_starts_after_the_time_is_up_but_three_count() -> None:
    assert len(interleave({"a": lambda: None}, rounds=1_000, at_most_secs=0.0)["a"].wall) == 3


def test_preparation_runs_before_each_sample() -> None:
    calls: list[str] = []
    interleave({"a": lambda: calls.append("a")}, rounds=2, warm_up=0, before={"a": lambda: calls.append("prepare")})
    assert calls == ["prepare", "a"] * 2


def test_ratio_is_ours_over_the_peers_median_in_the_rows_unit() -> None:
    ours, peer = Timing((0.001, 0.003, 0.002)), Timing((0.004, 0.004, 0.001))
    assert row("x", ours, against="y", peer=peer) == Row("x", 2.0, "ms", "y", 4.0)
    assert row("x", ours, against="y", peer=peer).ratio == 0.5


def test_p99_is_named_in_the_row() -> None:
    timing = Timing(tuple(np.arange(101) / 1e3))
    assert row("x", timing, statistic="p99") == Row("x, p99", 99.0, "ms")


@pytest.mark.parametrize(
    ("line", "met"),
    [
        (Row("x", 3.0, "s", "y", 2.0, Aim(1.5)), True),
        (Row("x", 3.1, "s", "y", 2.0, Aim(1.5)), False),
        (Row("x", 50.0, "ms", aim=Aim(50.0, of="ours")), True),
        (Row("x", 50.1, "ms", aim=Aim(50.0, of="ours")), False),
        (Row("x", 50.1, "ms", aim=Aim(1.0)), False),
        (Row("x", 50.1, "ms"), None),
    ],
)
def test_aim_is_met_or_missed(line: Row, met: bool | None) -> None:
    assert line.met is met


def test_different_answers_are_no_comparison() -> None:
    nan = float("nan")
    assert "2 values" in same("x", [nan, 1.0], [nan, 1.0 + 1e-12], 1e-9)
    for other in ([nan, 1.1], [1.0, nan], [nan]):
        with pytest.raises(AssertionError, match="x: "):
            same("x", [nan, 1.0], other, 1e-9)


def test_result_survives_json() -> None:
    section = Section(
        [Row("x", 1.0, "ms", "y", 2.0, Aim(1.5)), Row("z", 1.0, "s")], [Table("t", ["a"], [["1"]])], ["equal"]
    )
    assert Section.from_dict(json.loads(json.dumps(section.to_dict()))) == section


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (45.67, "45.7"), (1.234, "1.23"), (0.01234, "0.0123"), (0, "0.00")]
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_page_is_its_results_and_the_prose_beside_each_benchmark() -> None:
    assert page.PAGE.read_text() == page.page(), "run: .venv/bin/python -m benchmarks --page"


def test_no_result_of_a_quick_run_is_published() -> None:
    results = [json.loads(Path(page.RESULTS / f"{name}.json").read_text()) for name in page.BENCHMARKS]
    assert not [result["name"] for result in results if result["quick"]]
