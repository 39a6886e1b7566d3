"""What a model card says of its training, and who is measured by it."""

import datetime as dt
from pathlib import Path

from alphamill.domain.models import ModelCard, ModelVersion
from alphamill.steps.backtest_model import _champion
from alphamill.training import ModelParams


def card() -> ModelCard:
    return ModelCard(
        name="forecaster",
        architecture="mlp",
        features=("ret_1",),
        horizon_bars=5,
        data_version="bars@3",
        trained_from=dt.date(2000, 5, 31),
        trained_until=dt.date(2013, 2, 21),
        trials=4,
        params=ModelParams(architecture="mlp").model_dump(mode="json") | {"seed": 5},
        run_id="run9",
    )


def test_the_seed_stands_apart_from_the_configuration() -> None:
    assert card().seed == 5
    assert ModelParams.model_validate(card().configuration) == ModelParams(architecture="mlp")


def test_a_champion_is_measured_with_its_own_seed(tmp_path: Path) -> None:
    version = ModelVersion(
        name="forecaster", version="3", source_uri="", card=card(), updated_at=dt.datetime.now(dt.UTC)
    )
    (tmp_path / "champion.json").write_text(version.model_dump_json())
    champion = _champion(tmp_path)
    assert champion is not None
    assert (champion.seed, champion.trials, champion.run_id) == (5, 4, "run9")
    assert champion.params == ModelParams(architecture="mlp")
    assert _champion(tmp_path / "nowhere") is None
