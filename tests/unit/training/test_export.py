"""Exported folders: what onnxruntime says is what torch says, for any batch size, from raw features."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import torch

from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.models import ModelCard
from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.training import Dataset, ModelParams, Scaled, export_onnx, fit, predict


def card_of(features: tuple[str, ...]) -> ModelCard:
    return ModelCard(
        name="forecaster",
        architecture="mlp",
        features=features,
        horizon_bars=5,
        data_version="7",
        trained_from=dt.date(2010, 1, 4),
        trained_until=dt.date(2011, 1, 4),
        trials=12,
        params={"epochs": 2},
    )


@pytest.fixture(scope="module")
def module(dataset: Dataset) -> Scaled:
    params = ModelParams(architecture="mlp", hidden=(8,), epochs=2)
    return fit(dataset, np.arange(len(dataset)), params, 0)


@pytest.fixture(scope="module")
def folder(dataset: Dataset, module: Scaled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("model") / "new"
    return export_onnx(module, dataset.features, card_of(dataset.features), into, sample=dataset.x[:50])


def test_onnxruntime_and_torch_agree_for_any_batch(dataset: Dataset, module: Scaled, folder: Path) -> None:
    forecaster = OnnxForecaster(folder)
    for n in (1, 2, 333):
        for got, expected in zip(forecaster.predict(dataset.x[:n]), predict(module, dataset.x[:n]), strict=True):
            assert got.dtype == np.float32
            assert got.shape == (n,)
            assert np.abs(got - expected).max() <= 1e-6


def test_card_lies_beside_the_model(dataset: Dataset, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.onnx"]
    assert OnnxForecaster(folder).card == card_of(dataset.features)


def test_model_carries_no_path_of_this_machine(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in content
    assert b"stack_trace" not in content


def test_export_again_gives_the_same_bytes(dataset: Dataset, module: Scaled, folder: Path, tmp_path: Path) -> None:
    again = export_onnx(module, dataset.features, card_of(dataset.features), tmp_path)
    assert (again / "model.onnx").read_bytes() == (folder / "model.onnx").read_bytes()


def test_features_in_another_order_are_refused(dataset: Dataset, module: Scaled, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="the card lists"):
        export_onnx(module, dataset.features[::-1], card_of(dataset.features), tmp_path)


def test_module_that_exports_wrongly_leaves_no_model_behind(dataset: Dataset, tmp_path: Path) -> None:
    class Drifts(torch.nn.Module):
        """What is traced at export is not what runs later."""

        def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            offset = 1.0 if torch.compiler.is_compiling() else 2.0
            return features[:, 0] + offset, features[:, 0].abs() + 1.0

    with pytest.raises(DataUnfit, match="onnxruntime and torch differ"):
        export_onnx(Drifts(), dataset.features, card_of(dataset.features), tmp_path)
    assert list(tmp_path.iterdir()) == []
