"""A model server without processes."""

from pathlib import Path

from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.models import Deployment, ModelVersion
from alphamill.errors import AlphamillError, NotFound, Unavailable
from alphamill.ports import Clock, Forecaster, ModelRegistry


class InProcessModelServer:
    """The `ModelServer` port; models answer in this process, smoke question and rollback included."""

    def __init__(self, registry: ModelRegistry, folder: Path, clock: Clock = SYSTEM_CLOCK) -> None:
        self._registry, self._folder, self._clock = registry, folder, clock
        self._deployed: dict[str, tuple[Deployment, OnnxForecaster]] = {}

    def deploy(self, version: ModelVersion, service: str) -> Deployment:
        model_dir = self._registry.download(version, self._folder / version.id)
        try:
            forecaster = OnnxForecaster(model_dir, version=version.version)
            zeros = dict.fromkeys(forecaster.signature().features, 0.0)
            forecaster.forecast([FeatureSnapshot("SMOKE", self._clock.now(), zeros)])
        except AlphamillError as error:
            raise Unavailable(
                f"{version.id} was not deployed as {service}: {error}",
                field="version",
                remedy="Deploy another version.",
            ) from error
        deployment = Deployment(
            service=service,
            model_id=version.id,
            url=model_dir.resolve().as_uri(),
            status="deployed",
            updated_at=self._clock.now(),
        )
        self._deployed[service] = (deployment, forecaster)
        return deployment

    def deployment(self, service: str) -> Deployment:
        return self._find(service)[0]

    def stop(self, service: str) -> None:
        self._find(service)
        del self._deployed[service]

    def forecaster(self, service: str) -> Forecaster:
        """Asks what is deployed now; `NotFound` if nothing is."""
        return self._find(service)[1]

    def _find(self, service: str) -> tuple[Deployment, OnnxForecaster]:
        if service not in self._deployed:
            raise NotFound(f"nothing is deployed as {service!r}.", field="service", remedy="Deploy a version first.")
        return self._deployed[service]
