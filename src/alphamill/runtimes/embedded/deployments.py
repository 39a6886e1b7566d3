"""Which forecaster of the embedded runtime answers where: one small file per service, replaced in one step."""

import contextlib
import dataclasses
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alphamill import environment
from alphamill.domain.models import Deployment
from alphamill.errors import NotFound, StoreUnavailable
from alphamill.runtimes.embedded import Child, guard


@dataclass(frozen=True, slots=True)
class LocalDeployment:
    """A deployment and the process behind it."""

    deployment: Deployment
    child: Child


def read(home: Path, service: str) -> LocalDeployment:
    """Raises `NotFound` if nothing is deployed under `service`, `StoreUnavailable` for an unreadable file."""
    path = _path(home, service)
    content: dict[str, Any] = dict(guard.read_json(path))
    if not content and not path.exists():
        raise NotFound(
            f"nothing is deployed as {service!r}.", field="service", remedy="Deploy a model: alphamill train."
        )
    try:
        child = Child(**{**content["child"], "log": Path(content["child"]["log"])})
        return LocalDeployment(Deployment.model_validate(content["deployment"]), child)
    except (KeyError, TypeError, ValidationError) as error:
        raise StoreUnavailable(
            f"{path} is damaged.", field="service", remedy="Start the runtime again and deploy."
        ) from error


def write(home: Path, deployed: LocalDeployment) -> None:
    """From here on readers see this deployment."""
    child = {**dataclasses.asdict(deployed.child), "log": str(deployed.child.log)}
    content = {"deployment": deployed.deployment.model_dump(mode="json"), "child": child}
    guard.write_json(_path(home, deployed.deployment.service), content)


def remove(home: Path, service: str) -> None:
    _path(home, service).unlink(missing_ok=True)


def deployed_url(home: Path, service: str) -> str:
    """Base URL of what is deployed now; errors as `read`."""
    return read(home, service).deployment.url


@contextlib.contextmanager
def exclusive(home: Path, service: str) -> Iterator[None]:
    """One deploy or stop of a service at a time, between threads and processes; others wait."""
    path = _path(home, service).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(home: Path, service: str) -> Path:
    return environment.run_dir(home) / environment.DEPLOYMENTS / f"{service}.json"
