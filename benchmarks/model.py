"""A network of the size that is trained, as a model folder, and served; its weights come from a seed."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import numpy as np

from alphamill.domain.models import ModelCard

HIDDEN = (64, 32)


def write_model(folder: Path, features: tuple[str, ...], sample: np.ndarray | None = None) -> None:
    """model.onnx (scaling, two hidden layers, a mean and a std above zero) and card.json.

    Scaled by `sample`, rows of features, forecasts are of both signs and a few per cent; without it they are any.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    widths = (len(features), *HIDDEN, 1)
    constants: dict[str, np.ndarray] = {
        "centre": np.zeros(widths[0]) if sample is None else sample.mean(axis=0),
        "scale": np.ones(widths[0]) if sample is None else sample.std(axis=0),
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node("Sub", ["features", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["h0"]),
    ]
    for i, (rows, columns) in enumerate(zip(widths, HIDDEN, strict=False)):
        constants |= {f"w{i}": rng.normal(0, rows**-0.5, (rows, columns)), f"b{i}": np.zeros(columns)}
        nodes.append(helper.make_node("Gemm", [f"h{i}", f"w{i}", f"b{i}"], [f"a{i}"]))
        nodes.append(helper.make_node("Relu", [f"a{i}"], [f"h{i + 1}"]))
    for name, last in (("mean", "Identity"), ("std", "Softplus")):
        constants |= {f"w_{name}": rng.normal(0, 0.01, (HIDDEN[-1], 1)), f"b_{name}": np.zeros(1)}
        nodes.append(helper.make_node("Gemm", [f"h{len(HIDDEN)}", f"w_{name}", f"b_{name}"], [f"o_{name}"]))
        nodes.append(helper.make_node("Squeeze", [f"o_{name}", "axis"], [f"s_{name}"]))
        nodes.append(helper.make_node(last, [f"s_{name}"], [name]))
    initial = [
        numpy_helper.from_array(value.astype(np.int64 if name == "axis" else np.float32), name)
        for name, value in constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", len(features)])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("mean", "std")],
        initial,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    card = ModelCard(
        name="forecaster",
        architecture="mlp",
        features=features,
        horizon_bars=5,
        data_version="bars@0",
        trained_from=dt.date(2000, 1, 3),
        trained_until=dt.date(2010, 12, 31),
        trials=1,
        params={},
        run_id="benchmark",
        approved_for="paper",
    )
    (folder / "card.json").write_text(card.model_dump_json())


def deploy_model(runtime: Any) -> None:
    """Our model server with this network, as the runtime's deployment."""
    from alphamill.adapters.kserve.health import ready
    from alphamill.domain.models import Deployment
    from alphamill.features import MODEL_FEATURES, newest
    from alphamill.features.history import BarHistory
    from alphamill.proofs.synthetic_market import synthetic_market
    from alphamill.runtimes.embedded import children, deployments, free_port

    sample = newest(BarHistory.from_bars(synthetic_market(50, 100, seed=2)), MODEL_FEATURES)
    write_model(runtime.home / "model", MODEL_FEATURES, sample.select(MODEL_FEATURES).to_numpy())
    url = f"http://127.0.0.1:{(port := free_port())}"
    options = ["--model-dir", str(runtime.home / "model"), "--model-version", "1", "--host", "127.0.0.1"]
    command = [sys.executable, "-m", "serving.forecaster", *options, "--http-port", str(port)]
    child = runtime.start("forecaster-1", command)
    children.wait_ready(child, lambda: ready(url), timeout_secs=120)
    now = dt.datetime.now(dt.UTC)
    about = Deployment(service="forecaster", model_id="forecaster-1", url=url, status="deployed", updated_at=now)
    deployments.write(runtime.home, deployments.LocalDeployment(about, child))
