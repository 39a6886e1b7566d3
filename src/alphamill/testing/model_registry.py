"""A model registry in memory."""

from pathlib import Path

from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.domain.models import ModelCard, ModelVersion, check_alias, check_model_name
from alphamill.errors import InvalidConfig, NotFound
from alphamill.ports import Clock


class InMemoryModelRegistry:
    """The `ModelRegistry` port; versions last as long as the object."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._versions: dict[str, list[ModelVersion]] = {}
        self._models: dict[str, bytes] = {}

    def register(self, model_dir: Path, card: ModelCard) -> ModelVersion:
        check_model_name(card.name)
        model = model_dir / "model.onnx"
        if not model.is_file():
            raise InvalidConfig(
                f"{model_dir} holds no model.onnx.", field="model_dir", remedy="Export the model first."
            )
        known = self._versions.setdefault(card.name, [])
        number = str(len(known) + 1)
        version = ModelVersion(
            name=card.name,
            version=number,
            source_uri=f"memory://{card.name}/{number}",
            card=card,
            updated_at=self._clock.now(),
        )
        self._models[version.id] = model.read_bytes()
        known.append(version)
        return version

    def get(self, name: str, ref: str) -> ModelVersion:
        for version in self._versions.get(name, []):
            if ref == version.version or ref in version.aliases:
                return version
        raise NotFound(
            f"no model {name!r} with version or alias {ref!r}.",
            field="ref",
            remedy="Train one with `alphamill train`, or name a version.",
        )

    def set_alias(self, version: ModelVersion, alias: str) -> ModelVersion:
        self.get(version.name, version.version)
        check_alias(alias)
        now = self._clock.now()
        for index, known in enumerate(self._versions[version.name]):
            others = set(known.aliases) - {alias}
            wanted = others | ({alias} if known.version == version.version else set())
            if wanted != set(known.aliases):
                changed = {"aliases": tuple(sorted(wanted)), "updated_at": now}
                self._versions[version.name][index] = known.model_copy(update=changed)
        return self.get(version.name, version.version)

    def download(self, version: ModelVersion, into: Path) -> Path:
        known = self.get(version.name, version.version)
        into.mkdir(parents=True, exist_ok=True)
        (into / "model.onnx").write_bytes(self._models[known.id])
        (into / "card.json").write_text(known.card.model_dump_json(indent=2) + "\n")
        return into

    def versions(self, name: str) -> list[ModelVersion]:
        return list(self._versions.get(name, []))
