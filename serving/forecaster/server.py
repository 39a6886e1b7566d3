"""KServe's model server with a signature endpoint, questions answered without detours, and a bind address."""

import dataclasses
import logging
from typing import Any, Final

from kserve import ModelServer
from kserve.model_server import app
from kserve.protocol.dataplane import DataPlane

from serving.forecaster.model import ForecasterModel
from serving.forecaster.rest import InferenceFirst

GRACE_SECS: Final = 5


class ForecasterDataPlane(DataPlane):  # type: ignore[misc]
    """Ready means that there is a model, and that it is. Metadata names the version that is served."""

    async def ready(self) -> bool:
        models = self.model_registry.get_models().values()
        return bool(models) and all(model.ready for model in models)

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        version = self.get_model_from_registry(model_name).signature.version
        return {**await super().model_metadata(model_name), "versions": [version]}


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
        self._model: ForecasterModel | None = None
        self.dataplane = ForecasterDataPlane(model_registry=self.registered_models)
        for name in ("kserve.trace", "uvicorn.access"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("kserve").addFilter(lambda record: not str(record.msg).startswith("grpc method:"))

    def serve(self, model: ForecasterModel) -> None:
        """Blocks until SIGTERM or SIGINT."""
        self._model = model
        path = f"/v2/models/{model.name}/signature"
        app.add_api_route(path, lambda: dataclasses.asdict(model.signature), methods=["GET"], tags=["V2"])
        self.start([model])

    async def _serve(self) -> None:
        # KServe hands uvicorn 0.0.0.0 and its own application, and takes neither from outside; nothing listens
        # before this coroutine runs.
        assert self._model is not None
        self._rest_server.config.host = self._host
        self._rest_server.config.app = InferenceFirst(self._model, app)
        await super()._serve()
