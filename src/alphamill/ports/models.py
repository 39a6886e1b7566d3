"""Where models are kept, and what serves them."""

from pathlib import Path
from typing import Protocol

from alphamill.domain.models import Deployment, ModelCard, ModelVersion


class ModelRegistry(Protocol):
    """Trained models with their cards; aliases name the one that trades."""

    def register(self, model_dir: Path, card: ModelCard) -> ModelVersion:
        """Store `model_dir` (model.onnx, card.json) under a new version of `card.name`."""
        ...

    def get(self, name: str, ref: str) -> ModelVersion:
        """By version number or alias; `NotFound` otherwise."""
        ...

    def set_alias(self, version: ModelVersion, alias: str) -> ModelVersion: ...

    def download(self, version: ModelVersion, into: Path) -> Path:
        """Folder with model.onnx and card.json."""
        ...

    def versions(self, name: str) -> list[ModelVersion]:
        """Oldest first; empty if the name is unknown."""
        ...


class ModelServer(Protocol):
    """Runs model versions behind the v2 inference protocol."""

    def deploy(self, version: ModelVersion, service: str) -> Deployment:
        """Start, wait until ready, ask a smoke question, then switch; the old one stays on failure."""
        ...

    def deployment(self, service: str) -> Deployment:
        """What answers now; `NotFound` if nothing was deployed."""
        ...

    def stop(self, service: str) -> None: ...
