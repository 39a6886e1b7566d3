"""v2 inference over REST: questions and answers as JSON, or with binary tensors behind a JSON header.

Free of KServe. The server asks it for every question, so that no tensor becomes a Python list on the way.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.signature import FloatMatrix
from alphamill.errors import InvalidInput, NotFound

INPUT: Final = "features"
OUTPUTS: Final = ("mean", "std")
#: Parameter of the input tensor: the sender's column names, comma separated. Checked when it is sent.
COLUMNS: Final = "columns"
HEADER_LENGTH: Final = "inference-header-content-length"
#: Parameter of an answer: `ModelSignature.fingerprint`, so that who has read the signature knows it is still that one.
FINGERPRINT: Final = "signature"


@dataclass(frozen=True, slots=True)
class Question:
    """Checked rows [n, k], and which outputs are wanted: name, and whether as bytes."""

    id: str
    matrix: FloatMatrix
    outputs: tuple[tuple[str, bool], ...]


def read_question(signature: ModelSignature, body: bytes, json_length: int | None) -> Question:
    """The question in a request body.

    Parameters
    ----------
    json_length
        Bytes of JSON before the binary tensors, from the header `HEADER_LENGTH`; None without it: all is JSON.

    Raises
    ------
    InvalidInput
        Not v2, or not what the signature says: names, order, count, type, NaN and infinity.
    """
    if json_length is not None and not 0 < json_length <= len(body):
        raise InvalidInput(f"{HEADER_LENGTH} is {json_length}, the body has {len(body)} bytes.")
    try:
        head = orjson.loads(body if json_length is None else memoryview(body)[:json_length])
        tensors, parameters = head["inputs"], head.get("parameters") or {}
        names = [tensor["name"] for tensor in tensors]
        if names != [INPUT]:
            raise expected(signature, f"inputs are {names}")
        binary = b"" if json_length is None else memoryview(body)[json_length:]
        matrix = _read_tensor(signature, tensors[0], binary)
        outputs = _wanted(head.get("outputs"), default=bool(parameters.get("binary_data_output")))
        return Question(str(head.get("id") or uuid.uuid4().hex), matrix, outputs)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"not a v2 inference request: {type(error).__name__} {error}.") from error


def write_answer(
    question: Question, signature: ModelSignature, service: str, answers: Sequence[FloatMatrix]
) -> tuple[bytes, int | None]:
    """Body of the answer with `OUTPUTS` float32 [n], and the length of its JSON if tensors follow it."""
    known = dict(zip(OUTPUTS, answers, strict=True))
    outputs: list[dict[str, Any]] = []
    blobs = []
    for name, binary in question.outputs:
        values = known[name]
        output: dict[str, Any] = {"name": name, "shape": values.shape, "datatype": "FP32"}
        if binary:
            blobs.append(values.astype("<f4", copy=False).tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = np.ascontiguousarray(values)
        outputs.append(output)
    answer = {
        "id": question.id,
        "model_name": service,
        "model_version": signature.version,
        "parameters": {FINGERPRINT: signature.fingerprint},
        "outputs": outputs,
    }
    text = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *blobs)), len(text)) if blobs else (text, None)


def check_layout(signature: ModelSignature, datatype: Any, shape: Any, parameters: Mapping[str, Any]) -> None:
    """Raises `InvalidInput` unless it is FP32 [n, k] with n > 0, and its columns, when named, are the signature's."""
    if datatype != "FP32":
        raise expected(signature, f"the datatype is {datatype}")
    if len(shape) != 2 or shape[1] != len(signature.features) or not isinstance(shape[0], int) or shape[0] < 1:
        raise expected(signature, f"the shape is {shape}")
    columns = parameters.get(COLUMNS)
    if columns is not None and columns != ",".join(signature.features):
        raise expected(signature, f"the columns are {columns}")


def check_finite(signature: ModelSignature, matrix: FloatMatrix) -> None:
    """Raises `InvalidInput` that names the first number that is not finite."""
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        name, value = signature.features[column], matrix[row, column]
        raise expected(signature, f"{name} in row {row} is {value}, not a finite number")


def no_such_version(signature: ModelSignature, service: str, version: str) -> NotFound:
    """The error of a question for another version than the one that is served."""
    return NotFound(f"{service} serves version {signature.version}, not {version}.", field="model_version")


def expected(signature: ModelSignature, what: str) -> InvalidInput:
    """The error that says what is wrong and what to send."""
    return InvalidInput(
        f"{what}. {signature.name} {signature.version} expects one input '{INPUT}', FP32, shape "
        f"[n, {len(signature.features)}], n > 0, finite, columns in this order: {', '.join(signature.features)}."
    )


def _read_tensor(signature: ModelSignature, tensor: Mapping[str, Any], binary: Any) -> FloatMatrix:
    parameters = tensor.get("parameters") or {}
    shape = tensor["shape"]
    check_layout(signature, tensor["datatype"], shape, parameters)
    try:
        matrix = _numbers(tensor, parameters, binary).reshape(shape)
    except (TypeError, ValueError) as error:
        raise expected(signature, f"the data is not {shape} numbers ({error})") from error
    check_finite(signature, matrix)
    return matrix


def _numbers(tensor: Mapping[str, Any], parameters: Mapping[str, Any], binary: Any) -> FloatMatrix:
    if "binary_data_size" in parameters:
        if parameters["binary_data_size"] != len(binary):
            raise ValueError(f"binary_data_size is {parameters['binary_data_size']}, {len(binary)} bytes follow")
        return np.frombuffer(binary, dtype="<f4")
    if len(binary):
        raise ValueError(f"{len(binary)} bytes follow, and no binary_data_size")
    values = np.array(tensor["data"])
    if values.dtype.kind not in "fiu":
        raise ValueError("not all are numbers")
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and is refused as such
        return values.astype(np.float32)


def _wanted(outputs: Any, *, default: bool) -> tuple[tuple[str, bool], ...]:
    if not outputs:
        return tuple((name, default) for name in OUTPUTS)
    wanted = []
    for output in outputs:
        if output["name"] not in OUTPUTS:
            raise InvalidInput(f"there is no output {output['name']!r}; known are {', '.join(OUTPUTS)}.")
        wanted.append((output["name"], bool((output.get("parameters") or {}).get("binary_data", default))))
    return tuple(wanted)
