"""MLflow on SQLite: runs, what outlives the object, and stores that are not there."""

import subprocess
import sys
from pathlib import Path

import pytest

from alphamill.adapters.mlflow.registry import MlflowRegistry, MlflowTracking
from alphamill.domain.models import ModelCard
from alphamill.errors import InvalidConfig, NotFound, StoreUnavailable


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def uri(home: Path) -> str:
    return f"sqlite:///{home}/deep/mlflow.db"


@pytest.fixture(scope="module")
def tracking(uri: str, home: Path) -> MlflowTracking:
    return MlflowTracking(uri, home / "artifacts")


def read_run(uri: str, run_id: str) -> object:
    from mlflow import MlflowClient

    return MlflowClient(uri).get_run(run_id)


def test_run_keeps_parameters_metrics_series_tags_and_files(
    tracking: MlflowTracking, uri: str, home: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "note.txt").write_text("hello")
    with tracking.run("parent", tags={"alphamill.data_version": "7"}) as run_id:
        tracking.log(run_id, params={"hidden": [8, 4], "name": "mlp"}, metrics={"nll": -1.5}, tags={"a": "b"})
        tracking.log(run_id, series={"fold_nll": (-1.0, -2.0)})
        tracking.log_artifacts(run_id, tmp_path, "notes")
    run = read_run(uri, run_id)
    assert run.data.params == {"hidden": "[8, 4]", "name": "mlp"}
    assert run.data.metrics == {"nll": -1.5, "fold_nll": -2.0}
    assert run.data.tags.items() >= {"a": "b", "alphamill.data_version": "7"}.items()
    assert [point.value for point in MlflowClient(uri).get_metric_history(run_id, "fold_nll")] == [-1.0, -2.0]
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri.startswith((home / "artifacts" / "runs").as_uri())
    assert [path.read_text() for path in home.rglob("note.txt")] == ["hello"]


def test_run_that_raises_is_failed(tracking: MlflowTracking, uri: str) -> None:
    with pytest.raises(ZeroDivisionError), tracking.run("fails") as run_id:
        1 / 0  # noqa: B018
    assert read_run(uri, run_id).info.status == "FAILED"


def test_unknown_run_is_not_found(tracking: MlflowTracking) -> None:
    with pytest.raises(NotFound):
        tracking.log("0" * 32, metrics={"x": 1.0})


def test_versions_outlive_the_object(uri: str, home: Path, tmp_path: Path, forecaster_dir: Path) -> None:
    card = ModelCard.model_validate_json((forecaster_dir / "card.json").read_bytes())
    made = MlflowRegistry(uri, home / "artifacts").register(forecaster_dir, card)
    again = MlflowRegistry(uri, home / "artifacts")
    assert again.get("forecaster", made.version) == made
    assert made.source_uri.startswith((home / "artifacts" / "models").as_uri())
    folder = again.download(made, tmp_path)
    assert (folder / "model.onnx").read_bytes() == (forecaster_dir / "model.onnx").read_bytes()


def test_artifacts_that_are_gone_are_unavailable(uri: str, tmp_path: Path, forecaster_dir: Path) -> None:
    import shutil

    card = ModelCard.model_validate_json((forecaster_dir / "card.json").read_bytes())
    registry = MlflowRegistry(uri, tmp_path / "artifacts")
    made = registry.register(forecaster_dir, card)
    shutil.rmtree(tmp_path / "artifacts")
    with pytest.raises(StoreUnavailable, match=r"the files of forecaster-\d+ are gone"):
        registry.download(made, tmp_path / "out")


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/mlflow.db", "http://127.0.0.1:9"])
def test_store_that_does_not_answer_is_unavailable(uri: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="MLflow store"):
        MlflowRegistry(uri, tmp_path)


@pytest.mark.parametrize("uri", ["nonsense", "file:///tmp/mlruns"])
def test_uri_of_no_store_is_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no tracking URI"):
        MlflowTracking(uri, tmp_path)


def test_opening_a_store_does_not_warn_of_mlflows_own_code(tracking: MlflowTracking, uri: str, home: Path) -> None:
    program = f"from alphamill.adapters.mlflow.registry import MlflowRegistry\nMlflowRegistry({uri!r}, {str(home)!r})"
    # feast switches deprecation warnings on for the whole process; so does this.
    command = [sys.executable, "-W", "default", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "noload" not in done.stderr
