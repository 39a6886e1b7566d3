"""Model folders that must not be asked, and answers that must not be traded on."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.models import ModelCard
from alphamill.errors import ForecasterUnavailable, InvalidConfig, NotFound

WriteModel = Callable[..., ModelCard]
TS = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)
SNAPSHOT = FeatureSnapshot("AAPL", TS, {"ret_1": 0.1, "rsi_14": 0.2, "vol_21": 0.3})


@pytest.mark.parametrize("name", ["model.onnx", "card.json"])
def test_folder_without_one_of_its_files_is_not_found(tmp_path: Path, model_factory: WriteModel, name: str) -> None:
    model_factory(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotFound, match=f"holds no {name}"):
        OnnxForecaster(tmp_path)


def test_corrupt_model_is_refused(tmp_path: Path, model_factory: WriteModel) -> None:
    model_factory(tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()
    for broken in (b"", b"not a graph", content[: len(content) // 2]):
        (tmp_path / "model.onnx").write_bytes(broken)
        with pytest.raises(InvalidConfig, match=r"model\.onnx"):
            OnnxForecaster(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"name": 1}'])
def test_corrupt_card_is_refused(tmp_path: Path, model_factory: WriteModel, content: str) -> None:
    model_factory(tmp_path)
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(InvalidConfig, match="not a model card"):
        OnnxForecaster(tmp_path)


def test_graph_with_another_number_of_features_than_its_card_is_refused(
    tmp_path: Path, model_factory: WriteModel
) -> None:
    model_factory(tmp_path / "wide", features=("a", "b", "c", "d"))
    model_factory(tmp_path)
    (tmp_path / "model.onnx").write_bytes((tmp_path / "wide" / "model.onnx").read_bytes())
    with pytest.raises(InvalidConfig, match=r"inputs .*4.*its card asks for .*3"):
        OnnxForecaster(tmp_path)


def test_graph_with_other_outputs_is_refused(tmp_path: Path, model_factory: WriteModel) -> None:
    import onnx

    model_factory(tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    del model.graph.output[1]
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InvalidConfig, match="has outputs"):
        OnnxForecaster(tmp_path)


@pytest.mark.parametrize("answer", [{"bias": float("nan")}, {"std": 0.0}, {"std": -1.0}, {"std": float("inf")}])
def test_answer_that_is_not_finite_or_without_spread_is_unavailable(
    tmp_path: Path, model_factory: WriteModel, answer: dict[str, float]
) -> None:
    model_factory(tmp_path, **answer)
    with pytest.raises(ForecasterUnavailable, match="for AAPL"):
        OnnxForecaster(tmp_path).forecast([SNAPSHOT])
