"""Every pipeline compiles, and its steps carry the names of the stage table."""

from pathlib import Path

import pytest
import yaml

from pipelines.compile import PIPELINES, compile_all

STEPS = {
    "feature_refresh": {"ingest-bars", "validate-bars", "build-features", "materialize-features"},
    "train_and_deploy": {"tune-model", "train-model", "backtest-model", "register-model", "deploy-model"},
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return {
        path.stem: next(yaml.safe_load_all(path.read_text())) for path in compile_all(tmp_path_factory.mktemp("yaml"))
    }


def test_every_pipeline_of_the_folder_is_compiled(compiled: dict[str, dict]) -> None:
    files = {path.stem for path in (Path(__file__).parents[2] / "pipelines").glob("*.py")}
    assert files - {"__init__", "compile", "uncached"} == set(PIPELINES) == set(compiled)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_pipeline_has_the_steps_of_its_loop(compiled: dict[str, dict], name: str) -> None:
    executors = compiled[name]["deploymentSpec"]["executors"]
    assert {step.removeprefix("exec-") for step in executors} == STEPS[name]


def test_model_is_deployed_only_if_the_gate_accepted_it(compiled: dict[str, dict]) -> None:
    tasks = compiled["train_and_deploy"]["root"]["dag"]["tasks"]
    assert "deploy-model" not in tasks
    (branch,) = [task for task in tasks.values() if "triggerPolicy" in task]
    assert branch["triggerPolicy"]["condition"].endswith("register-model-Output'] == true")
    assert branch["dependentTasks"] == ["register-model"]


def test_no_backend_skips_a_step_for_having_seen_its_arguments(compiled: dict[str, dict]) -> None:
    for document in compiled.values():
        dags = [document["root"]["dag"], *(c["dag"] for c in document["components"].values() if "dag" in c)]
        steps = [task for dag in dags for task in dag["tasks"].values() if "triggerPolicy" not in task]
        assert [task["taskInfo"]["name"] for task in steps if task["cachingOptions"].get("enableCache")] == []
        assert len(steps) == len(document["deploymentSpec"]["executors"])
