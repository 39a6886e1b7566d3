"""Fixtures shared by all suites. Slow parts start once per session, as children that cannot be orphaned."""

import datetime as dt
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import structlog

from alphamill import environment
from alphamill.domain.models import ModelCard
from alphamill.runtimes.embedded import Runtime, children, free_port
from alphamill.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees the default settings, whatever the shell or a session fixture has exported."""
    for name in [name for name in os.environ if name.startswith(environment.PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_logging_leaks_out() -> Iterator[None]:
    """Commands set up logging for their process, which here is that of the tests."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = [handler for handler in root.handlers if handler in before]
    root.setLevel(level)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """One embedded runtime, Redis included, for the whole session."""
    with Runtime(Settings(home=tmp_path_factory.mktemp("runtime"))) as opened:
        yield opened


@pytest.fixture(scope="session")
def runtime_home(runtime: Runtime) -> Path:
    """Home folder of the session's runtime; children may be started on it."""
    return runtime.home


@pytest.fixture(scope="session")
def redis_url(runtime: Runtime) -> str:
    """URL of a real Redis server. Shared: use keys of your own, never FLUSHALL."""
    return runtime.settings.redis_url.get_secret_value()


#: Features of the tiny models below: mean = 0.1 * ret_1 + 0.2 * rsi_14 + 0.3 * vol_21.
FORECASTER_FEATURES: Final = ("ret_1", "rsi_14", "vol_21")


def write_model(
    folder: Path, *, features: tuple[str, ...] = FORECASTER_FEATURES, bias: float = 0.0, std: float = 0.02
) -> ModelCard:
    """A hand-made ONNX model with known answers, and its card: mean = bias + sum(0.1 * (i + 1) * x_i), std constant."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    weights = np.arange(1, len(features) + 1, dtype=np.float32) / 10
    constants = {"w": weights, "b": np.float32(bias), "zero": 0 * weights, "s": np.float32(std)}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "w"], ["wx"]),
            helper.make_node("Add", ["wx", "b"], ["mean"]),
            helper.make_node("MatMul", ["features", "zero"], ["zeros"]),
            helper.make_node("Add", ["zeros", "s"], ["std"]),
        ],
        "linear",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(features)])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("mean", "std")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    card = ModelCard(
        name="forecaster",
        architecture="linear",
        features=features,
        horizon_bars=5,
        data_version="7",
        trained_from=dt.date(2000, 3, 1),
        trained_until=dt.date(2010, 12, 31),
        trials=1,
        params={},
        run_id="run-1",
        approved_for="paper",
    )
    (folder / "card.json").write_text(card.model_dump_json(indent=2))
    return card


@pytest.fixture(scope="session")
def model_factory() -> Callable[..., ModelCard]:
    """`write_model`: into a folder, optionally with other features, bias or std."""
    return write_model


@pytest.fixture(scope="session")
def forecaster_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the tiny model and its card."""
    folder = tmp_path_factory.mktemp("forecaster")
    write_model(folder)
    return folder


@pytest.fixture(scope="session")
def forecaster_ports(runtime: Runtime, forecaster_dir: Path) -> tuple[int, int]:
    """REST and gRPC port of our KServe server with the tiny model, version 1; one server per session."""
    from alphamill.adapters.kserve.health import ready

    http_port, grpc_port = free_port(), free_port()
    options = ["--model-dir", str(forecaster_dir), "--model-version", "1", "--host", "127.0.0.1"]
    options += ["--http-port", str(http_port), "--grpc-port", str(grpc_port)]
    child = runtime.start("test-forecaster", [sys.executable, "-m", "serving.forecaster", *options])
    children.wait_ready(child, lambda: ready(f"http://127.0.0.1:{http_port}"), timeout_secs=120)
    return http_port, grpc_port


@pytest.fixture(scope="session")
def forecaster_url(forecaster_ports: tuple[int, int]) -> str:
    """Base URL of that server; the model is called `forecaster`."""
    return f"http://127.0.0.1:{forecaster_ports[0]}"
