"""The model registry on MLflow.

A version's files are plain: model.onnx and card.json in one folder of the artifact store, which is the version's
`source`. A KServe storage initializer loads that folder from S3 as it is; no MLflow flavour stands between.
"""

import datetime as dt
import hashlib
import re
import tempfile
from pathlib import Path
from typing import Any

from alphamill.adapters.mlflow.tracking import MlflowTracking, connect, mlflow_errors, root_uri
from alphamill.domain.models import MODEL_NAME, ModelCard, ModelVersion, check_alias, check_model_name
from alphamill.errors import InvalidConfig, NotFound, StoreUnavailable

__all__ = ["MlflowRegistry", "MlflowTracking"]

_CARD_TAG = "alphamill.card"
_FILES = ("model.onnx", "card.json")


class MlflowRegistry:
    """The `ModelRegistry` port.

    Parameters
    ----------
    tracking_uri
        ``sqlite:///...`` without a server, another SQLAlchemy URL, or an MLflow server.
    artifact_root
        Folder or URI (``s3://...``). Files of a version lie under ``models/<name>/<hash of the files>``: never
        overwritten by another version.

    Raises
    ------
    StoreUnavailable
        From every method, when the store cannot be reached.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path | str) -> None:
        self._uri = tracking_uri
        self._root = root_uri(artifact_root)
        self._client = connect(tracking_uri)

    def register(self, model_dir: Path, card: ModelCard) -> ModelVersion:
        """Store model.onnx of `model_dir` beside `card` as the next version of `card.name`."""
        check_model_name(card.name)
        model = model_dir / "model.onnx"
        if not model.is_file():
            raise InvalidConfig(
                f"{model_dir} holds no model.onnx.", field="model_dir", remedy="Export the model first."
            )
        source = self._upload(model.read_bytes(), card)
        with mlflow_errors(card.name):
            if not self._client.search_registered_models(f"name = '{card.name}'"):
                self._client.create_registered_model(card.name)
            created = self._client.create_model_version(
                card.name,
                source,
                run_id=card.run_id or None,
                tags={_CARD_TAG: card.model_dump_json(), "alphamill.data_version": card.data_version},
            )
            return self.get(card.name, created.version)

    def get(self, name: str, ref: str) -> ModelVersion:
        """Version number or alias; `NotFound` for neither."""
        if not re.fullmatch(MODEL_NAME, name):
            raise _unknown(name, ref)
        with mlflow_errors(f"{name} {ref}"):
            try:
                if str(ref).isdecimal():
                    return _to_version(self._client.get_model_version(name, str(ref)))
                return _to_version(self._client.get_model_version_by_alias(name, ref))
            except Exception as error:
                if getattr(error, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise _unknown(name, ref) from error
                raise

    def set_alias(self, version: ModelVersion, alias: str) -> ModelVersion:
        """Point `alias` of the model at this version; it leaves the version that had it."""
        check_alias(alias)
        self.get(version.name, version.version)
        with mlflow_errors(f"alias {alias!r}"):
            self._client.set_registered_model_alias(version.name, alias, version.version)
        return self.get(version.name, version.version)

    def download(self, version: ModelVersion, into: Path) -> Path:
        """Copy model.onnx and card.json into `into`."""
        known = self.get(version.name, version.version)
        into.mkdir(parents=True, exist_ok=True)
        try:
            with mlflow_errors(known.source_uri):
                repository = _repository(known.source_uri, self._uri)
                for name in _FILES:
                    repository.download_artifacts(name, str(into))
        except NotFound as error:
            raise StoreUnavailable(
                f"the files of {known.id} are gone: {error.message}",
                field="artifact_root",
                remedy="Restore the artifact store or register the model again.",
            ) from error
        return into

    def versions(self, name: str) -> list[ModelVersion]:
        if not re.fullmatch(MODEL_NAME, name):
            return []
        with mlflow_errors(name):
            found: list[Any] = []
            token: str | None = None
            while token != "":
                page = self._client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
                found, token = [*found, *page], page.token or ""
            # The search leaves aliases out, so each version is read by its number.
            return [self.get(name, number) for number in sorted((item.version for item in found), key=int)]

    def _upload(self, model: bytes, card: ModelCard) -> str:
        text = card.model_dump_json(indent=2) + "\n"
        content = hashlib.sha256(model + b"\0" + text.encode()).hexdigest()[:16]
        source = f"{self._root}/models/{card.name}/{content}"
        with tempfile.TemporaryDirectory(prefix="alphamill-model-") as folder:
            (Path(folder) / "model.onnx").write_bytes(model)
            (Path(folder) / "card.json").write_text(text)
            with mlflow_errors(source):
                _repository(source, self._uri).log_artifacts(folder)
        return source


def _repository(uri: str, tracking_uri: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri, tracking_uri=tracking_uri)


def _unknown(name: str, ref: str) -> NotFound:
    return NotFound(
        f"no model {name!r} with version or alias {ref!r}.",
        field="ref",
        remedy="Train one with `alphamill train`, or name a version.",
    )


def _to_version(found: Any) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        aliases=tuple(sorted(found.aliases)),
        source_uri=found.source,
        card=ModelCard.model_validate_json(found.tags[_CARD_TAG]),
        updated_at=dt.datetime.fromtimestamp(found.last_updated_timestamp / 1000, tz=dt.UTC),
    )
