"""A forecaster as a KServe model: v2 inference over REST JSON, REST binary and gRPC."""

import uuid
from typing import Any

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput

from alphamill.adapters.onnx import OnnxForecaster
from alphamill.domain.signature import FloatMatrix
from alphamill.errors import AlphamillError
from serving.forecaster.answers import answer, warm_up

INPUT = "features"
OUTPUTS = ("mean", "std")
#: Parameter of the input tensor: the sender's column names, comma separated. Checked when it is sent.
COLUMNS = "columns"


class ForecasterModel(Model):  # type: ignore[misc]
    """Answers input ``features`` FP32 [n, k] with outputs ``mean`` and ``std`` FP32 [n].

    Wrong names, order (when the sender names its columns), count, type, NaN and infinity are answered with
    status 400 (INVALID_ARGUMENT) and the expected features in order; an answer of the graph that is not
    finite with std above zero is never sent: status 500.
    """

    def __init__(self, name: str, forecaster: OnnxForecaster) -> None:
        super().__init__(name)
        self._forecaster = forecaster
        self.signature = forecaster.signature()

    def load(self) -> bool:
        """Ready only after a question was answered well; raises `InvalidConfig` otherwise."""
        warm_up(self._forecaster)
        self.ready = True
        return True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": INPUT, "datatype": "FP32", "shape": [-1, len(self.signature.features)]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": name, "datatype": "FP32", "shape": [-1]} for name in OUTPUTS]

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> InferResponse:
        if not isinstance(payload, InferRequest):
            raise InvalidInput(f"Only the v2 protocol is served: POST /v2/models/{self.name}/infer.")
        answers = self._answer(self._matrix(payload))
        return InferResponse(
            response_id=payload.id or uuid.uuid4().hex,
            model_name=self.name,
            model_version=self.signature.version,
            infer_outputs=[
                InferOutput(name=name, shape=list(values.shape), datatype="FP32", data=values)
                for name, values in zip(OUTPUTS, answers, strict=True)
            ],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    def _answer(self, matrix: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
        try:
            return answer(self._forecaster, matrix)
        except AlphamillError as error:
            raise InferenceError(str(error)) from error

    def _matrix(self, request: InferRequest) -> FloatMatrix:
        if [tensor.name for tensor in request.inputs] != [INPUT]:
            raise self._invalid(f"inputs are {[tensor.name for tensor in request.inputs]}")
        tensor = request.inputs[0]
        self._check_layout(tensor)
        try:
            matrix: FloatMatrix = tensor.as_numpy()
        except (TypeError, ValueError) as error:
            raise self._invalid(f"the data is not {tensor.shape} numbers ({error})") from error
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise self._invalid(
                f"{self.signature.features[column]} in row {row} is {matrix[row, column]}, not a finite number"
            )
        return matrix

    def _check_layout(self, tensor: InferInput) -> None:
        width = len(self.signature.features)
        if tensor.datatype != "FP32":
            raise self._invalid(f"the datatype is {tensor.datatype}")
        shape = tensor.shape
        if len(shape) != 2 or shape[1] != width or not isinstance(shape[0], int) or shape[0] < 1:
            raise self._invalid(f"the shape is {shape}")
        columns = (tensor.parameters or {}).get(COLUMNS)
        if columns is not None and columns != ",".join(self.signature.features):
            raise self._invalid(f"the columns are {columns}")

    def _invalid(self, what: str) -> InvalidInput:
        names = ", ".join(self.signature.features)
        return InvalidInput(
            f"{what}. {self.signature.name} {self.signature.version} expects one input '{INPUT}', FP32, shape "
            f"[n, {len(self.signature.features)}], n > 0, finite, columns in this order: {names}."
        )
