"""A forecaster as a KServe model: v2 inference over gRPC. REST questions are answered in `rest`."""

import uuid
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InferenceError, InvalidInput, ModelNotFound

from alphamill import errors
from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.signature import FloatMatrix
from serving.forecaster.answers import answer, warm_up
from serving.forecaster.protocol import INPUT, OUTPUTS, check_finite, check_layout, expected, no_such_version


class _NoSuchVersion(ModelNotFound):  # type: ignore[misc]
    """KServe's own knows no versions, and writes its message itself."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self.reason = message


class ForecasterModel(Model):  # type: ignore[misc]
    """Answers input ``features`` FP32 [n, k] with outputs ``mean`` and ``std`` FP32 [n].

    Wrong names, order (when the sender names its columns), count, type, NaN and infinity are answered with
    status 400 (INVALID_ARGUMENT) and the expected features in order; an answer of the graph that is not
    finite with std above zero is never sent: status 500. A question for another version: 404 (NOT_FOUND).
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

    def answer(self, matrix: FloatMatrix) -> tuple[FloatMatrix, FloatMatrix]:
        """Mean and std [n] of checked rows; raises `ForecasterUnavailable` rather than give what is not finite."""
        return answer(self._forecaster, matrix)

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> InferResponse:
        """The answer to a gRPC question; one that names a version is answered by that version or not at all."""
        if not isinstance(payload, InferRequest):
            raise InvalidInput(f"Only the v2 protocol is served: POST /v2/models/{self.name}/infer.")
        if payload.model_version and payload.model_version != self.signature.version:
            raise _NoSuchVersion(no_such_version(self.signature, self.name, payload.model_version).message)
        try:
            answers = self.answer(self._matrix(payload))
        except errors.InvalidInput as error:
            raise InvalidInput(error.message) from error
        except errors.AlphamillError as error:
            raise InferenceError(str(error)) from error
        outputs = []
        for name, values in zip(OUTPUTS, answers, strict=True):
            output = InferOutput(name=name, shape=list(values.shape), datatype="FP32")
            # As bytes at once: KServe asks an array of several numbers whether it is true.
            output.set_data_from_numpy(values, binary_data=True)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or uuid.uuid4().hex,
            model_name=self.name,
            model_version=self.signature.version,
            infer_outputs=outputs,
        )

    def _matrix(self, request: InferRequest) -> FloatMatrix:
        names = [tensor.name for tensor in request.inputs]
        if names != [INPUT]:
            raise expected(self.signature, f"inputs are {names}")
        tensor = request.inputs[0]
        check_layout(self.signature, tensor.datatype, tensor.shape, tensor.parameters or {})
        try:
            matrix: FloatMatrix = tensor.as_numpy()
        except (TypeError, ValueError) as error:
            raise expected(self.signature, f"the data is not {tensor.shape} numbers ({error})") from error
        check_finite(self.signature, matrix)
        return matrix
