"""Step 5b: fit the best configuration on all rows and export it."""

import json

import numpy as np

from alphamill.domain.models import ModelCard
from alphamill.errors import NotFound
from alphamill.ports import Wiring
from alphamill.settings import Settings
from alphamill.steps.run_folder import CHAMPION, load_dataset, run_folder
from alphamill.steps.step import begin, finish
from alphamill.training import Dataset, export_onnx, fit, parse_params


def train_model(
    run_id: str,
    params: str,
    trials: int,
    bars_version: int,
    training_version: int,
    horizon_bars: int,
    seed: int,
    *,
    settings: Settings | None = None,
) -> str:
    """Fit, export as ONNX with its card, and note the champion it will have to face.

    Returns
    -------
    Folder with model.onnx and card.json.
    """
    parts = begin("train", "fitting the best configuration", settings)
    dataset = load_dataset(parts, training_version, bars_version, horizon_bars)
    chosen = parse_params(json.loads(params))
    module = fit(dataset, np.arange(len(dataset)), chosen, seed)
    parts.progress()("train", 1, 2, "exporting ONNX")
    card = _card(parts.settings, dataset, run_id, chosen.architecture, json.loads(params) | {"seed": seed}, trials)
    folder = run_folder(parts.settings, run_id)
    export_onnx(module, dataset.features, card, folder / "model")
    _note_champion(parts, run_id)
    finish(parts, "train", f"{chosen.architecture} on {len(dataset):,} rows, {trials} trials")
    return str(folder / "model")


def _card(
    settings: Settings, dataset: Dataset, run_id: str, architecture: str, params: dict[str, object], trials: int
) -> ModelCard:
    keys = dataset.keys()["ts"].dt.date()
    return ModelCard(
        name=settings.model_name,
        architecture=architecture,
        features=dataset.features,
        horizon_bars=dataset.horizon_bars,
        data_version=dataset.data_version,
        trained_from=keys.min(),
        trained_until=keys.max(),
        trials=trials,
        params=params,
        run_id=run_id,
        code_version=settings.code_version,
    )


def _note_champion(parts: Wiring, run_id: str) -> None:
    try:
        champion = parts.registry().get(parts.settings.model_name, "champion")
    except NotFound:
        return
    (run_folder(parts.settings, run_id) / CHAMPION).write_text(champion.model_dump_json())
