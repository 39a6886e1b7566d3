"""One suite for every `Pipelines`: outputs come back by step, a failed step keeps its class and is named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from alphamill import environment
from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.files.progress import ProgressTail, report_progress
from alphamill.adapters.kfp.local import LocalPipelines
from alphamill.errors import AlphamillError, DataUnfit
from alphamill.monitoring.progress import Progress
from alphamill.ports import Pipelines
from alphamill.testing.pipelines import InProcessPipelines

#: The folder of toy_pipeline.py: `add_one`, then `check_small`.
TOYS = Path(__file__).resolve().parents[1] / "components"
TOY = "toy_pipeline:toy"


def add_one(asked: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    report_progress("ingest", 1, 1, f"{asked['number']} + 1")
    return {"Output": asked["number"] + 1}


def check_small(asked: Mapping[str, Any], before: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    number = before["add-one"]["Output"]
    if asked.get("how") == "refuse":
        raise DataUnfit(f"{number} is too large.", remedy="Take a smaller one.")
    return {"Output": f"{number} is fine"}


@pytest.fixture(params=["memory", "local"])
def pipelines(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipelines:
    if request.param == "memory":
        monkeypatch.setenv(environment.PROGRESS_FILE, str(tmp_path / "progress.jsonl"))
        return InProcessPipelines({TOY: {"add-one": add_one, "check-small": check_small}}, tmp_path)
    return LocalPipelines(tmp_path, SYSTEM_CLOCK, environment.inherited({"PYTHONPATH": str(TOYS)}))


def test_the_outputs_of_every_step_come_back_by_its_name(pipelines: Pipelines, tmp_path: Path) -> None:
    progress = tmp_path / "progress.jsonl"
    done = pipelines.run(TOY, {"number": 3}, progress=progress)
    assert done.outputs == {"add-one": {"Output": 4}, "check-small": {"Output": "4 is fine"}}
    assert ProgressTail(progress).read() == [Progress("ingest", 1, 1, "3 + 1")]
    assert done.log.is_relative_to(done.run_dir)
    assert done.log.read_text()


def test_the_error_of_a_step_keeps_its_class_and_names_the_step(pipelines: Pipelines) -> None:
    with pytest.raises(DataUnfit, match=r"step check-small failed: 4 is too large\. Take a smaller one\.") as caught:
        pipelines.run(TOY, {"number": 3, "how": "refuse"})
    assert caught.value.field == "step check-small"
    assert "pipeline.log" in (caught.value.remedy or "")


def test_a_pipeline_that_does_not_exist_is_named(pipelines: Pipelines) -> None:
    with pytest.raises(AlphamillError, match=r"pipeline pipelines\.no_such:thing failed"):
        pipelines.run("pipelines.no_such:thing", {})


def test_two_runs_of_one_pipeline_have_folders_of_their_own(pipelines: Pipelines) -> None:
    first, second = (pipelines.run(TOY, {"number": number}) for number in (1, 2))
    assert first.run_dir != second.run_dir
    assert (first.outputs["add-one"], second.outputs["add-one"]) == ({"Output": 2}, {"Output": 3})
