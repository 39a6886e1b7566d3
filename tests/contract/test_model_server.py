"""What every `ModelServer` does: the fake in process, and children of the embedded runtime."""

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.kserve.v2 import V2Forecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.models import ModelCard, ModelVersion
from alphamill.errors import NotFound, Unavailable
from alphamill.ports import Forecaster, ModelServer
from alphamill.runtimes.embedded import Runtime, children
from alphamill.runtimes.embedded.deployments import deployed_url
from alphamill.runtimes.embedded.model_server import LocalModelServer
from alphamill.testing.model_registry import InMemoryModelRegistry
from alphamill.testing.model_server import InProcessModelServer

SNAPSHOT = FeatureSnapshot(
    "AAPL", dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC), {"ret_1": 0.1, "rsi_14": 0.2, "vol_21": 0.3}
)
Register = Callable[..., ModelVersion]


@pytest.fixture
def registry() -> InMemoryModelRegistry:
    return InMemoryModelRegistry()


@pytest.fixture
def register(tmp_path: Path, registry: InMemoryModelRegistry, model_factory: Callable[..., ModelCard]) -> Register:
    def write(**changes: object) -> ModelVersion:
        folder = tmp_path / f"model-{len(registry.versions('forecaster'))}"
        return registry.register(folder, model_factory(folder, **changes))

    return write


class Served:
    """A model server and how to ask what it serves."""

    def __init__(self, server: ModelServer, ask: Callable[[str], Forecaster]) -> None:
        self.server, self.ask = server, ask


@pytest.fixture(params=["in_process", "local"])
def served(request: pytest.FixtureRequest, registry: InMemoryModelRegistry, tmp_path: Path) -> Iterator[Served]:
    if request.param == "in_process":
        fake = InProcessModelServer(registry, tmp_path / "served")
        yield Served(fake, fake.forecaster)
        return
    runtime: Runtime = request.getfixturevalue("runtime")
    local = LocalModelServer(registry, runtime.home, SYSTEM_CLOCK)
    asked: dict[str, V2Forecaster] = {}

    def ask(service: str) -> Forecaster:
        return asked.setdefault(
            service, V2Forecaster(partial(deployed_url, runtime.home, service), service, timeout_secs=20)
        )

    yield Served(local, ask)
    for forecaster in asked.values():
        forecaster.close()
    for child in runtime.children():
        if child.name.startswith("contract-"):
            children.stop(child)


def eventually(condition: Callable[[], bool], timeout_secs: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_secs
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@contextlib.contextmanager
def asking(served: Served, service: str) -> Iterator[list[tuple[str, float]]]:
    """Ask all the time in a thread; yields the growing list of (version, mean)."""
    answers: list[tuple[str, float]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.02):
            answers.extend((f.model_version, round(f.mean, 4)) for f in served.ask(service).forecast([SNAPSHOT]).rows)

    with ThreadPoolExecutor(1) as pool:
        questions = pool.submit(ask)
        try:
            assert eventually(lambda: bool(answers))
            yield answers
        finally:
            stop.set()
        questions.result()


def test_deploy_switch_rollback_and_stop(served: Served, register: Register) -> None:
    """One story, because a real server takes seconds to start."""
    service = "contract-story"
    with pytest.raises(NotFound, match=service):
        served.server.deployment(service)
    with pytest.raises(NotFound, match=service):
        served.server.stop(service)

    first = served.server.deploy(register(bias=1.0), service)
    assert (first.service, first.model_id, first.status) == (service, "forecaster-1", "deployed")
    assert served.server.deployment(service) == first
    asks = served.ask(service)
    assert asks.forecast([SNAPSHOT]).rows[0].mean == pytest.approx(1.14)
    assert asks.signature().version == "1"

    with pytest.raises(Unavailable, match="forecaster-2 was not deployed"):
        served.server.deploy(register(std=0.0), service)
    assert served.server.deployment(service) == first, "a model whose std is 0 fails its smoke question"
    assert served.ask(service).forecast([SNAPSHOT]).rows[0].model_version == "1"

    other_features = ("vol_21", "rsi_14", "ret_1")
    with asking(served, service) as answers:
        third = served.server.deploy(register(bias=3.0, features=other_features), service)
        assert eventually(lambda: ("3", 3.1) in answers)
    assert set(answers) == {("1", 1.14), ("3", 3.1)}, "no question fails, each answer belongs to its version"
    assert answers == sorted(answers), "never back to the old one"
    assert served.server.deployment(service) == third
    assert served.ask(service).signature().features == other_features

    served.server.stop(service)
    with pytest.raises(NotFound):
        served.server.deployment(service)


def test_version_that_the_registry_does_not_know_is_refused(served: Served, register: Register) -> None:
    unknown = register().model_copy(update={"version": "99"})
    with pytest.raises(NotFound, match="99"):
        served.server.deploy(unknown, "contract-unknown")


def test_corrupt_model_is_not_deployed(
    served: Served, register: Register, registry: InMemoryModelRegistry, tmp_path: Path
) -> None:
    card = register().card
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(Unavailable, match="not a readable ONNX model"):
        served.server.deploy(registry.register(broken, card), "contract-corrupt")
    with pytest.raises(NotFound):
        served.server.deployment("contract-corrupt")


DEPLOY = """
import sys
from pathlib import Path
from alphamill.adapters.clock.system import SystemClock
from alphamill.runtimes.embedded.model_server import LocalModelServer
from alphamill.adapters.onnx.forecaster import read_card
from alphamill.testing.model_registry import InMemoryModelRegistry
home, folder, service = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
registry = InMemoryModelRegistry()
print(LocalModelServer(registry, home, SystemClock()).deploy(registry.register(folder, read_card(folder)), service).url)
"""


def test_forecaster_outlives_the_step_that_deployed_it_and_its_death_is_seen(
    runtime: Runtime, forecaster_dir: Path
) -> None:
    service = "contract-step"
    step = subprocess.run(
        [sys.executable, "-c", DEPLOY, str(runtime.home), str(forecaster_dir), service],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert step.returncode == 0, step.stderr
    server = LocalModelServer(InMemoryModelRegistry(), runtime.home, SYSTEM_CLOCK)
    deployed = server.deployment(service)
    assert (deployed.status, deployed.url) == ("deployed", step.stdout.strip())
    asks = V2Forecaster(partial(deployed_url, runtime.home, service), service, timeout_secs=20)
    assert len(asks.forecast([SNAPSHOT]).rows) == 1

    child = next(child for child in runtime.children() if child.name.startswith(service))
    os.kill(child.pid, signal.SIGKILL)
    assert eventually(lambda: not child.alive)
    assert server.deployment(service).status == "unreachable"
    with pytest.raises(Unavailable):
        asks.forecast([SNAPSHOT])
    asks.close()
    server.stop(service)


def test_damaged_deployment_file_is_reported(runtime: Runtime) -> None:
    path = runtime.home / "run" / "deployments" / "damaged.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"deployment": {}}))
    with pytest.raises(Unavailable, match="damaged"):
        LocalModelServer(InMemoryModelRegistry(), runtime.home, SYSTEM_CLOCK).deployment("damaged")
    path.unlink()
