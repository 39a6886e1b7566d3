"""What every `ModelRegistry` does: the one in memory and MLflow on SQLite."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from alphamill.domain.models import ModelCard, ModelVersion
from alphamill.errors import InvalidConfig, NotFound
from alphamill.ports import ModelRegistry
from alphamill.testing.model_registry import InMemoryModelRegistry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of one MLflow store for the module: making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(params=["memory", "mlflow"])
def registry(request: pytest.FixtureRequest) -> ModelRegistry:
    if request.param == "memory":
        return InMemoryModelRegistry()
    from alphamill.adapters.mlflow.registry import MlflowRegistry

    root = request.getfixturevalue("store")
    return MlflowRegistry(f"sqlite:///{root}/mlflow.db", root / "artifacts")


@pytest.fixture
def card(request: pytest.FixtureRequest) -> ModelCard:
    """A card whose model name is the test's own, since the MLflow store is shared."""
    name = f"m{abs(hash(request.node.nodeid)) % 10**12}"
    return ModelCard(
        name=name,
        architecture="mlp",
        features=("ret_1", "rsi_14"),
        horizon_bars=5,
        data_version="7",
        trained_from=dt.date(2000, 3, 1),
        trained_until=dt.date(2010, 12, 31),
        trials=12,
        params={"hidden": [8, 4], "learning_rate": 0.01},
        metrics={"rank_ic": 0.021},
        code_version="abc123",
        approved_for="paper",
    )


@pytest.fixture
def register(registry: ModelRegistry, card: ModelCard, tmp_path: Path) -> Callable[..., ModelVersion]:
    """Register `content` as the next version."""

    def _register(content: bytes = b"graph", **changes: object) -> ModelVersion:
        (tmp_path / "model.onnx").write_bytes(content)
        (tmp_path / "card.json").write_text("{}")
        return registry.register(tmp_path, card.model_copy(update=changes))

    return _register


def test_versions_count_from_one_and_come_oldest_first(
    registry: ModelRegistry, card: ModelCard, register: Callable[..., ModelVersion]
) -> None:
    made = [register(content=bytes([i])) for i in range(11)]
    assert [version.version for version in made] == [str(i) for i in range(1, 12)]
    assert made[0].id == f"{card.name}-1"
    assert registry.versions(card.name) == made


def test_version_is_found_by_number_with_its_card(
    registry: ModelRegistry, card: ModelCard, register: Callable[..., ModelVersion]
) -> None:
    made = register()
    found = registry.get(card.name, "1")
    assert found == made
    assert found.card == card
    assert found.updated_at.tzinfo is not None


def test_alias_moves_from_one_version_to_the_next(
    registry: ModelRegistry, card: ModelCard, register: Callable[..., ModelVersion]
) -> None:
    first, second = register(), register()
    assert registry.set_alias(first, "champion").aliases == ("champion",)
    assert registry.set_alias(second, "champion").aliases == ("champion",)
    assert registry.get(card.name, "champion").version == "2"
    assert [version.aliases for version in registry.versions(card.name)] == [(), ("champion",)]
    assert registry.set_alias(second, "best").aliases == ("best", "champion")


def test_download_gives_the_files_of_that_version(
    registry: ModelRegistry, card: ModelCard, register: Callable[..., ModelVersion], tmp_path: Path
) -> None:
    first, second = register(b"first"), register(b"second", trials=13)
    for version, content in ((first, b"first"), (second, b"second")):
        folder = registry.download(version, tmp_path / "out" / version.version)
        assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.onnx"]
        assert (folder / "model.onnx").read_bytes() == content
        assert ModelCard.model_validate_json((folder / "card.json").read_bytes()) == version.card


def test_unknown_name_version_or_alias_is_not_found(
    registry: ModelRegistry, card: ModelCard, register: Callable[..., ModelVersion], tmp_path: Path
) -> None:
    made = register()
    for name, ref in ((card.name, "2"), (card.name, "champion"), (card.name, ""), ("unknown", "1"), ("it's", "1")):
        with pytest.raises(NotFound, match=r"no model .* with version or alias"):
            registry.get(name, ref)
    gone = made.model_copy(update={"version": "9"})
    with pytest.raises(NotFound):
        registry.set_alias(gone, "champion")
    with pytest.raises(NotFound):
        registry.download(gone, tmp_path / "out")
    assert registry.versions("unknown") == []
    assert registry.versions("it's") == []


@pytest.mark.parametrize("alias", ["", "v1", "7", "latest", "two words", "Ü"])
def test_alias_that_reads_as_a_version_is_refused(
    registry: ModelRegistry, register: Callable[..., ModelVersion], alias: str
) -> None:
    with pytest.raises(InvalidConfig, match="cannot be an alias"):
        registry.set_alias(register(), alias)


def test_folder_without_a_model_is_refused(registry: ModelRegistry, card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"holds no model\.onnx"):
        registry.register(tmp_path, card)
    assert registry.versions(card.name) == []


def test_name_that_is_no_service_name_is_refused(registry: ModelRegistry, card: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(InvalidConfig, match="cannot name a model"):
        registry.register(tmp_path, card.model_copy(update={"name": "../up"}))
