"""One question for 1 and for 500 rows of 13 features: REST with JSON, REST with binary tensors, and gRPC.

The model is a network of the size that is trained. Our KServe server and a bare uvicorn that serves the same graph are
processes of their own; one httpx client asks both and ends with arrays. "Port" is `V2Forecaster.forecast` as the
trader calls it, from feature snapshots to checked forecasts. onnxruntime in this process is the floor.
"""

import datetime as dt
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.command import main
from benchmarks.measure import interleave, same
from benchmarks.section import Aim, Row, Section, row

TITLE = "Forecasts over v2"

PROSE = """
**Where the time goes.** The network answers 500 rows in about a tenth of a millisecond; the protocol is the rest. Of
a binary question, httpx takes about half on the client's side and uvicorn a quarter. Ours is what remains: to parse
the JSON header, to check the layout, that 6,500 numbers are finite and that the answer is, and to write the header of
the answer. The port adds 500 dictionaries in and 500 checked forecasts out, about a millisecond. Before this
benchmark KServe's application answered: routing, pydantic models and lists took 2 ms of processor time for one row,
and 5.5 ms for 500 as JSON. It still serves everything but this one path, see `serving/forecaster/rest.py`. The same
change mended gRPC, which failed for more than one row.

**Next lever.** A lighter client than httpx. And arrays instead of one snapshot per symbol between the online store
and the question.
"""


def measure(quick: bool) -> Section:
    from alphamill.features import MODEL_FEATURES
    from alphamill.runtimes.embedded import Runtime
    from alphamill.settings import Settings
    from benchmarks.model import write_model

    with TemporaryDirectory(prefix="alphamill-bench-") as folder, Runtime(Settings(home=Path(folder))) as runtime:
        write_model(Path(folder) / "model", MODEL_FEATURES)
        parts = _Parts(runtime, Path(folder) / "model", MODEL_FEATURES)
        rows, checks = [], []
        for batch in (1, 500):
            contestants = parts.contestants(batch)
            answers = {name: call() for name, call in contestants.items()}
            worst = [
                same(name, np.ravel(answer), np.ravel(answers["onnxruntime"]), 1e-6) for name, answer in answers.items()
            ]
            checks.append(f"Batch {batch}: all {len(worst)} give the same means and stds within 1e-6.")
            t = interleave(contestants, rounds=5 if quick else 1_500, warm_up=20, at_most_secs=5)
            rows += _rows(batch, t)
    return Section(rows, (), checks)


def _rows(batch: int, t: dict[str, Any]) -> list[Row]:
    raw, text, floor = "bare uvicorn, raw float32", "bare uvicorn + orjson", "onnxruntime in process"
    what = partial("{}, batch {}".format)
    return [
        row(
            what("REST binary", batch),
            t["binary"],
            against=raw,
            peer=t["bare raw"],
            aim=Aim(1.5) if batch > 1 else None,
        ),
        row(what("REST binary", batch), t["binary"], against=raw, peer=t["bare raw"], statistic="p99"),
        row(what("REST JSON", batch), t["json"], against=text, peer=t["bare json"]),
        row(what("gRPC", batch), t["grpc"], against=raw, peer=t["bare raw"]),
        row(what("port", batch), t["port"], against=raw, peer=t["bare raw"]),
        row(what("port", batch), t["port"], against=floor, peer=t["onnxruntime"]),
    ]


class _Parts:
    """Both servers, and every way to ask them."""

    def __init__(self, runtime: Any, model: Path, features: tuple[str, ...]) -> None:
        import httpx

        from alphamill.adapters.kserve.health import ready
        from alphamill.adapters.kserve.v2 import V2Forecaster
        from alphamill.adapters.onnx.forecaster import OnnxForecaster
        from alphamill.runtimes.embedded import children, free_port

        ports = {name: free_port() for name in ("rest", "grpc", "bare")}
        options = {"model-dir": model, "host": "127.0.0.1", "http-port": ports["rest"], "grpc-port": ports["grpc"]}
        arguments = [f"--{name}={value}" for name, value in options.items()]
        server = runtime.start("forecaster", [sys.executable, "-m", "serving.forecaster", *arguments])
        command = [sys.executable, "-m", "benchmarks.peers.bare_server", str(model / "model.onnx"), str(ports["bare"])]
        bare = runtime.start("bare", command)
        self.url, self.bare = (f"http://127.0.0.1:{ports[name]}" for name in ("rest", "bare"))
        self.client = httpx.Client(trust_env=False)
        children.wait_ready(server, lambda: ready(self.url), timeout_secs=120)
        children.wait_ready(bare, self._bare_answers, timeout_secs=60)
        self.features = features
        self.port = V2Forecaster(self.url, "forecaster")
        self.floor = OnnxForecaster(model)
        self.stub, self.question = _grpc(ports["grpc"])

    def contestants(self, batch: int) -> dict[str, Callable[[], Any]]:
        from alphamill.domain.features import FeatureSnapshot

        x = np.random.default_rng(1).normal(size=(batch, len(self.features))).astype(np.float32)
        now = dt.datetime.now(dt.UTC)
        rows = [dict(zip(self.features, values, strict=True)) for values in x.tolist()]
        snapshots = [FeatureSnapshot(f"N{i:04d}", now, values) for i, values in enumerate(rows)]
        return {
            "onnxruntime": lambda: self.floor.predict(x),
            "bare raw": lambda: self._bare_raw(x),
            "bare json": lambda: self._bare_json(x),
            "binary": lambda: self._binary(x),
            "json": lambda: self._json(x),
            "grpc": lambda: self._grpc(x),
            "port": lambda: [
                [getattr(row, part) for row in forecasts.rows]
                for forecasts in [self.port.forecast(snapshots)]
                for part in ("mean", "std")
            ],
        }

    def _bare_answers(self) -> bool:
        import httpx

        try:
            return self.client.post(f"{self.bare}/raw", content=np.zeros(13, np.float32).tobytes()).status_code == 200
        except httpx.HTTPError:
            return False

    def _bare_raw(self, x: np.ndarray) -> np.ndarray:
        answer = self.client.post(f"{self.bare}/raw", content=x.tobytes())
        return np.frombuffer(answer.content, dtype="<f4").reshape(2, -1)

    def _bare_json(self, x: np.ndarray) -> np.ndarray:
        import orjson

        body = orjson.dumps({"rows": x}, option=orjson.OPT_SERIALIZE_NUMPY)
        answer = orjson.loads(self.client.post(f"{self.bare}/json", content=body).content)
        return np.array([answer["mean"], answer["std"]], dtype=np.float32)

    def _binary(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tensors = self.port._ask(self.port._at(self.url), x)
        return tensors["mean"], tensors["std"]

    def _json(self, x: np.ndarray) -> np.ndarray:
        import orjson

        tensor = {"name": "features", "shape": x.shape, "datatype": "FP32", "data": x.ravel()}
        body = orjson.dumps({"inputs": [tensor]}, option=orjson.OPT_SERIALIZE_NUMPY)
        headers = {"Content-Type": "application/json"}
        answer = self.client.post(f"{self.url}/v2/models/forecaster/infer", content=body, headers=headers)
        outputs = {output["name"]: output["data"] for output in orjson.loads(answer.content)["outputs"]}
        return np.array([outputs["mean"], outputs["std"]], dtype=np.float32)

    def _grpc(self, x: np.ndarray) -> list[np.ndarray]:
        answer = self.stub.ModelInfer(self.question(x))
        raw = dict(zip((output.name for output in answer.outputs), answer.raw_output_contents, strict=True))
        return [np.frombuffer(raw[name], dtype="<f4") for name in ("mean", "std")]


def _grpc(port: int) -> tuple[Any, Callable[[np.ndarray], Any]]:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc import grpc_predict_v2_pb2_grpc as pb_grpc

    def question(x: np.ndarray) -> Any:
        tensor = pb.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=x.shape)
        return pb.ModelInferRequest(model_name="forecaster", inputs=[tensor], raw_input_contents=[x.tobytes()])

    return pb_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}")), question


if __name__ == "__main__":
    main("forecast")
