"""KServe's model server with a signature endpoint, binary tensors read in place, and a bind address."""

import dataclasses
import logging
from typing import Any

import orjson
from kserve import InferInput, InferRequest, ModelServer
from kserve.errors import InvalidInput
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane

from serving.forecaster.model import ForecasterModel

HEADER_LENGTH = "inference-header-content-length"
GRACE_SECS = 5


class ForecasterDataPlane(DataPlane):  # type: ignore[misc]
    """KServe turns binary tensors into Python lists; here they stay bytes until numpy reads them."""

    async def ready(self) -> bool:
        models = self.model_registry.get_models().values()
        return bool(models) and all(model.ready for model in models)

    def decode_inference_request(self, body: Any, headers: dict[str, str], model_name: str) -> InferRequest:
        try:
            if isinstance(body, bytes) and HEADER_LENGTH in headers:
                return _read_binary(body, int(headers[HEADER_LENGTH]), model_name)
            return super().decode_inference_request(body, headers, model_name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"not a v2 inference request: {type(error).__name__} {error}.") from error


def _read_binary(body: bytes, json_length: int, model_name: str) -> InferRequest:
    """The request of the v2 binary extension: a JSON header of `json_length` bytes, then the tensors."""
    if not 0 < json_length <= len(body):
        raise InvalidInput(f"{HEADER_LENGTH} is {json_length}, the body has {len(body)} bytes.")
    head = orjson.loads(body[:json_length])
    tensors, raw, start = [], [], json_length
    for tensor in head["inputs"]:
        parameters = tensor.get("parameters") or {}
        if "binary_data_size" not in parameters:
            return InferRequest.from_bytes(body, json_length, model_name)
        size = int(parameters["binary_data_size"])
        if size < 0 or start + size > len(body):
            raise InvalidInput(f"binary_data_size of '{tensor['name']}' is {size}; the body ends before that.")
        tensors.append(InferInput(tensor["name"], tensor["shape"], tensor["datatype"], parameters=parameters))
        raw.append(memoryview(body)[start : start + size])
        start += size
    if start != len(body):
        raise InvalidInput(f"{len(body) - start} bytes after the last tensor.")
    return InferRequest(
        model_name, tensors, request_id=head.get("id"), raw_inputs=raw, parameters=head.get("parameters")
    )


class ForecasterServer(ModelServer):  # type: ignore[misc]
    """Serves one `ForecasterModel`; `grpc_port` 0 switches gRPC off (gRPC always binds every address)."""

    def __init__(self, *, host: str, http_port: int, grpc_port: int) -> None:
        super().__init__(
            http_port=http_port,
            grpc_port=grpc_port,
            enable_grpc=grpc_port > 0,
            workers=1,
            enable_latency_logging=False,
            grace_period=GRACE_SECS,
        )
        self._host = host
        self.dataplane = ForecasterDataPlane(model_registry=self.registered_models)
        for name in ("kserve.trace", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def serve(self, model: ForecasterModel) -> None:
        """Blocks until SIGTERM or SIGINT."""
        path = f"/v2/models/{model.name}/signature"
        app.add_api_route(path, lambda: dataclasses.asdict(model.signature), methods=["GET"], tags=["V2"])
        self.start([model])

    async def _serve(self) -> None:
        # KServe hands uvicorn 0.0.0.0 and takes no address; nothing listens before this coroutine runs.
        self._rest_server.config.host = self._host
        await super()._serve()
