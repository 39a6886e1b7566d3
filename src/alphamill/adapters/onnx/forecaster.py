"""A model folder asked in process, by onnxruntime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.models import ModelCard
from alphamill.domain.signature import FloatMatrix, feature_matrix, to_forecasts
from alphamill.errors import ForecasterUnavailable, InvalidConfig, NotFound

_OUTPUTS = ("mean", "std")


class OnnxForecaster:
    """The `Forecaster` port over model.onnx and card.json of one folder.

    Parameters
    ----------
    model_dir
        As `training.export_onnx` writes it and `ModelRegistry.download` returns it.
    version
        Version in the registry; it becomes `Forecast.model_version`.

    Raises
    ------
    NotFound
        The folder, the model or the card does not exist.
    InvalidConfig
        The card or the graph cannot be read, or the graph's inputs and outputs are not what the card says.
    """

    def __init__(self, model_dir: Path, *, version: str = "unregistered") -> None:
        self._card = read_card(model_dir)
        self._session = _open(model_dir / "model.onnx", len(self._card.features))
        self._signature = ModelSignature(
            name=self._card.name,
            version=version,
            features=self._card.features,
            horizon_bars=self._card.horizon_bars,
            data_version=self._card.data_version,
            run_id=self._card.run_id,
            approved_for=self._card.approved_for,
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        """See `ports.Forecaster`; raises `InvalidFeatures` for missing or non-finite features."""
        if not snapshots:
            return Forecasts(self._signature, ())
        mean, std = self.predict(feature_matrix(self._signature, snapshots))
        return to_forecasts(self._signature, snapshots, mean, std)

    def predict(self, x: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
        """Raw answer of the graph: float32 (n, k) to mean and std, float32 (n,); nothing is checked."""
        try:
            mean, std = self._session.run(list(_OUTPUTS), {"features": x})
        except Exception as error:  # onnxruntime raises classes of its own, without a public base
            raise ForecasterUnavailable(f"onnxruntime failed: {error}", field="features") from error
        return mean, std


def read_card(model_dir: Path) -> ModelCard:
    """The card of a model folder.

    Raises
    ------
    NotFound
        No such folder, or no card.json or model.onnx in it.
    InvalidConfig
        The card does not parse.
    """
    for name in ("model.onnx", "card.json"):
        if not (model_dir / name).is_file():
            raise NotFound(
                f"{model_dir} holds no {name}.", field="model_dir", remedy="Download the model from the registry."
            )
    try:
        return ModelCard.model_validate_json((model_dir / "card.json").read_bytes())
    except ValidationError as error:
        raise InvalidConfig(f"{model_dir / 'card.json'} is not a model card: {error}", field="card.json") from error


def _open(path: Path, n_features: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises classes of its own, without a public base
        raise InvalidConfig(
            f"{path} is not a readable ONNX model: {error}", field="model.onnx", remedy="Export the model again."
        ) from error
    _check_graph(path, session, n_features)
    return session


def _check_graph(path: Path, session: Any, n_features: int) -> None:
    inputs = [(node.name, node.type, node.shape[1:]) for node in session.get_inputs()]
    outputs = [(node.name, node.type, len(node.shape)) for node in session.get_outputs()]
    expected_inputs = [("features", "tensor(float)", [n_features])]
    expected_outputs = [(name, "tensor(float)", 1) for name in _OUTPUTS]
    for field, got, expected in (("inputs", inputs, expected_inputs), ("outputs", outputs, expected_outputs)):
        if got != expected:
            raise InvalidConfig(
                f"{path} has {field} {got}; its card asks for {expected}.",
                field=field,
                remedy="Export the model and its card together.",
            )
