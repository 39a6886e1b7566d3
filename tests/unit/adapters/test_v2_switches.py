"""`V2Forecaster` while the model behind one URL is switched between and inside its questions, over a real socket."""

import datetime as dt
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from alphamill.adapters.kserve.v2 import V2Forecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import ModelSignature
from alphamill.errors import AlphamillError, ForecasterUnavailable, InvalidFeatures

TS = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)
CALLS = 500


def model(version: str, features: tuple[str, ...], horizon_bars: int = 5) -> ModelSignature:
    return ModelSignature("forecaster", version, features, horizon_bars, data_version="7", run_id=f"run-{version}")


MODELS = (model("1", ("a", "b")), model("2", ("b", "a"), 21), model("3", ("b", "c", "a")))
SNAPSHOTS = (
    FeatureSnapshot("AAPL", TS, {"a": 0.5, "b": -0.25}),
    FeatureSnapshot("IBM", TS, {"a": 2.0, "b": 0.125}),
)
COMPLETE = tuple(FeatureSnapshot(s.symbol, TS, {**s.values, "c": 4.0}) for s in SNAPSHOTS)


def mean_of(signature: ModelSignature, values: Mapping[str, float]) -> float:
    """Exact in float32: features weighed by their places, and 100 for each version."""
    return sum(place * values[name] for place, name in enumerate(signature.features, 1)) + 100 * int(signature.version)


class Switching:
    """A server of one model at a time. `heeds_versions`: it answers 404 to a question for another, as ours does.

    With probability `rate` the next model is there before a request is looked at, and again after its answer is made.
    """

    def __init__(self, seed: int, *, heeds_versions: bool, rate: float = 0.4) -> None:
        self.rng, self.rate, self.heeds_versions = random.Random(seed), rate, heeds_versions
        self.current = MODELS[0]
        switching = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece: its parts would wait for each other

            def do_GET(self) -> None:
                self.answer(b"", 0)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(sent, int(self.headers["Inference-Header-Content-Length"]))

            def answer(self, sent: bytes, head_length: int) -> None:
                switching.perhaps()
                status, body, json_length = switching.reply(self.path, sent[:head_length], sent[head_length:])
                switching.perhaps()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Inference-Header-Content-Length", str(json_length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def perhaps(self) -> None:
        if self.rng.random() < self.rate:
            self.current = self.rng.choice(MODELS)

    def reply(self, path: str, head: bytes, data: bytes) -> tuple[int, bytes, int]:
        if path.endswith("/signature"):
            return 200, json.dumps(asdict(self.current)).encode(), 0
        version = path.split("/versions/")[1].split("/")[0]
        if version != self.current.version and (self.heeds_versions or path.endswith("/ready")):
            return 404, b'{"error": "no such version"}', 0
        return (200, b"{}", 0) if path.endswith("/ready") else self._infer(head, data)

    def _infer(self, head: bytes, data: bytes) -> tuple[int, bytes, int]:
        rows = np.frombuffer(data, dtype="<f4").reshape(json.loads(head)["inputs"][0]["shape"])
        if rows.shape[1] != len(self.current.features):
            return 400, b'{"error": "columns in this order"}', 0
        mean = np.array(
            [mean_of(self.current, dict(zip(self.current.features, row, strict=True))) for row in rows.tolist()]
        )
        blobs = [values.astype("<f4").tobytes() for values in (mean, np.full(len(rows), 0.5))]
        outputs = [
            {"name": n, "shape": [len(rows)], "datatype": "FP32", "parameters": {"binary_data_size": len(d)}}
            for n, d in zip(("mean", "std"), blobs, strict=True)
        ]
        about = {"model_version": self.current.version, "parameters": {"signature": self.current.fingerprint}}
        text = json.dumps({**about, "outputs": outputs}).encode()
        return 200, text + b"".join(blobs), len(text)


@pytest.fixture(params=[True, False], ids=["heeds versions", "answers whatever is asked"])
def switching(request: pytest.FixtureRequest) -> Iterator[Switching]:
    server = Switching(7, heeds_versions=request.param)
    serving = threading.Thread(target=server.server.serve_forever, args=(0.02,))
    serving.start()
    yield server
    server.server.shutdown()
    server.server.server_close()
    serving.join()


@pytest.fixture
def asks(switching: Switching) -> Iterator[V2Forecaster]:
    forecaster = V2Forecaster(f"http://127.0.0.1:{switching.server.server_port}", "forecaster", timeout_secs=20)
    yield forecaster
    forecaster.close()


def test_of_500_questions_under_switches_none_mixes_two_models(switching: Switching, asks: V2Forecaster) -> None:
    rng, ended = random.Random(11), Counter[str]()
    for _ in range(CALLS):
        if rng.random() < 0.3:
            ended["signature"] += outcome(asks, ()) == ""
            continue
        ended[outcome(asks, rng.choice((SNAPSHOTS, COMPLETE)))] += 1
    assert ended.keys() == {"signature", "1", "2", "3", "INVALID_FEATURES", "FORECASTER_UNAVAILABLE"}
    assert min(ended.values()) >= 10, ended


def outcome(asks: V2Forecaster, snapshots: tuple[FeatureSnapshot, ...]) -> str:
    """Version of a whole answer ("" for no snapshots), or the code of the error."""
    try:
        answer = asks.forecast(snapshots)
    except (ForecasterUnavailable, InvalidFeatures) as error:
        return error.code
    assert answer.signature in MODELS
    assert [row.model_version for row in answer.rows] == [answer.signature.version] * len(snapshots)
    assert [row.mean for row in answer.rows] == [mean_of(answer.signature, s.values) for s in snapshots]
    return answer.signature.version if snapshots else ""


def test_an_answer_comes_as_soon_as_the_switches_end(switching: Switching, asks: V2Forecaster) -> None:
    switching.rate = 1.0
    for _ in range(20):
        outcome(asks, COMPLETE)
    switching.rate = 0.0
    for _ in range(2):
        assert outcome(asks, COMPLETE) == switching.current.version
    assert asks.signature() == switching.current


def test_switches_raise_nothing_but_errors_of_ours(switching: Switching, asks: V2Forecaster) -> None:
    switching.rate = 0.9
    codes = set()
    for _ in range(100):
        try:
            codes.add(asks.signature().version)
        except AlphamillError as error:
            codes.add(error.code)
    assert codes <= {"1", "2", "3", "FORECASTER_UNAVAILABLE"}
