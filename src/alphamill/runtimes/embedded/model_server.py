"""`ModelServer` of the embedded runtime: our KServe server as a child process per version."""

import contextlib
import datetime as dt
import re
import sys
from pathlib import Path
from typing import Final

from alphamill.adapters.kserve.health import ready
from alphamill.adapters.kserve.v2 import V2Forecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.models import Deployment, ModelVersion
from alphamill.errors import AlphamillError, NotFound, Unavailable
from alphamill.ports import Clock, ModelRegistry
from alphamill.runtimes.embedded import children, deployments, free_port
from alphamill.runtimes.embedded.deployments import LocalDeployment

READY_SECS: Final = 90.0
SMOKE_ROWS: Final = 3


class LocalModelServer:
    """The `ModelServer` port: each version runs in a child process that ends with the runtime of `home`.

    The process that deploys may end; the forecaster lives on. A version that does not start, is not ready in
    time or fails its smoke question is stopped again, and the version before it goes on answering.
    """

    def __init__(self, registry: ModelRegistry, home: Path, clock: Clock, *, ready_secs: float = READY_SECS) -> None:
        self._registry = registry
        self._home = home.resolve()
        self._clock = clock
        self._ready_secs = ready_secs

    def deploy(self, version: ModelVersion, service: str) -> Deployment:
        """See `ports.ModelServer`.

        Raises
        ------
        NotFound
            The registry does not know the version.
        Unavailable
            It did not start, was not ready or failed its smoke question; says why and what goes on answering.
        """
        with deployments.exclusive(self._home, service):
            old = self._deployed(service)
            self._end_strays(service, old)
            folder = self._registry.download(version, self._home / "models" / version.id)
            try:
                new = self._start(version, service, folder)
            except AlphamillError as error:
                still = f"{old.deployment.model_id} goes on answering" if old else "nothing is deployed"
                raise Unavailable(
                    f"{version.id} was not deployed as {service}: {error} ({still}.)",
                    field="version",
                    remedy="Deploy another version.",
                ) from error
            if old:
                children.stop(old.child)
        return new.deployment

    def deployment(self, service: str) -> Deployment:
        """See `ports.ModelServer`; the status is "deployed", or "unreachable" when it does not answer ready."""
        found = deployments.read(self._home, service)
        answers = found.child.alive and ready(found.deployment.url)
        return found.deployment.model_copy(update={"status": "deployed" if answers else "unreachable"})

    def stop(self, service: str) -> None:
        """End the service's process; `NotFound` if nothing is deployed."""
        with deployments.exclusive(self._home, service):
            found = deployments.read(self._home, service)
            deployments.remove(self._home, service)
            children.stop(found.child)

    def _deployed(self, service: str) -> LocalDeployment | None:
        with contextlib.suppress(NotFound):
            return deployments.read(self._home, service)
        return None

    def _end_strays(self, service: str, deployed: LocalDeployment | None) -> None:
        """Stop what a killed deploy left behind: servers of this service that no file speaks of."""
        for child in children.running(self._home):
            if re.fullmatch(rf"{re.escape(service)}-\w+-\d+", child.name) and (not deployed or child != deployed.child):
                children.stop(child)

    def _start(self, version: ModelVersion, service: str, folder: Path) -> LocalDeployment:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        child = children.start(
            f"{service}-{version.version}-{port}", _command(version, service, folder, port), home=self._home
        )
        try:
            children.wait_ready(child, lambda: ready(url), timeout_secs=self._ready_secs)
            _smoke(url, version, service, self._clock.now())
            deployment = Deployment(
                service=service,
                model_id=version.id,
                url=url,
                status="deployed",
                updated_at=self._clock.now(),
            )
            deployed = LocalDeployment(deployment, child)
            deployments.write(self._home, deployed)
        except BaseException:
            children.stop(child)
            raise
        return deployed


def _command(version: ModelVersion, service: str, folder: Path, port: int) -> list[str]:
    options = {
        "model-dir": str(folder),
        "model-name": service,
        "model-version": version.version,
        "host": "127.0.0.1",
        "http-port": str(port),
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "serving.forecaster", *arguments]


def _smoke(url: str, version: ModelVersion, service: str, now: dt.datetime) -> None:
    """The server says that it is this version, and answers a batch with finite means and stds above zero."""
    asks = V2Forecaster(url, service)
    try:
        signature = asks.signature()
        if (signature.version, signature.features) != (version.version, version.card.features):
            raise Unavailable(
                f"it says version {signature.version} with features {', '.join(signature.features)}; the registry "
                f"says version {version.version} with {', '.join(version.card.features)}.",
                field="features",
            )
        rows = [dict.fromkeys(signature.features, 0.01 * row) for row in range(SMOKE_ROWS)]
        asks.forecast([FeatureSnapshot("SMOKE", now, values) for values in rows])
    finally:
        asks.close()
