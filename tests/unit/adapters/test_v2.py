"""A v2 server that misbehaves, or switches versions, as `V2Forecaster` sees it. The server is a real socket."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from alphamill.adapters.kserve.v2 import ATTEMPTS, V2Forecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.errors import ForecasterUnavailable, InvalidFeatures, NotFound
from alphamill.runtimes.embedded import free_port
from alphamill.runtimes.embedded.deployments import deployed_url

SNAPSHOT = FeatureSnapshot("AAPL", dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC), {"ret_1": 0.1, "rsi_14": 0.2})
Answer = tuple[int, dict[str, str], bytes]


READY: Answer = (200, {}, b'{"ready": true}')
GONE: Answer = (404, {}, b'{"error": "forecaster serves version 2, not 1."}')
FIRST = ModelSignature("forecaster", "1", ("ret_1", "rsi_14"), horizon_bars=5, data_version="7", run_id="r")
SECOND = replace(FIRST, version="2", features=("rsi_14", "ret_1"))


def signature(of: ModelSignature = FIRST) -> Answer:
    return 200, {}, json.dumps(asdict(of)).encode()


def tensors(mean: list[float], std: list[float], of: ModelSignature = FIRST, **changes: Any) -> Answer:
    data = [np.array(values, dtype="<f4").tobytes() for values in (mean, std)]
    outputs = [
        {"name": n, "shape": [len(d) // 4], "datatype": "FP32", "parameters": {"binary_data_size": len(d)}, **changes}
        for n, d in zip(("mean", "std"), data, strict=True)
    ]
    about = {"model_version": of.version, "parameters": {"signature": of.fingerprint}}
    head = json.dumps({**about, "outputs": outputs}).encode()
    return 200, {"Inference-Header-Content-Length": str(len(head))}, head + b"".join(data)


class Scripted:
    """Answers from three lists, the last entry again and again; keeps the versions and the columns it was sent."""

    def __init__(self) -> None:
        self.signatures: list[Answer] = [signature()]
        self.readies: list[Answer] = [READY]
        self.answers: list[Answer] = [tensors([0.01], [0.02])]
        self.versions: list[str] = []
        self.columns: list[str] = []
        self.released = threading.Event()
        self.released.set()
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(script.readies if self.path.endswith("/ready") else script.signatures)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                head = json.loads(body[: int(self.headers["Inference-Header-Content-Length"])])
                script.versions.append(self.path.removeprefix("/v2/models/forecaster/versions/").removesuffix("/infer"))
                script.columns.append(head["inputs"][0]["parameters"]["columns"])
                script.released.wait(10)
                self.reply(script.answers)

            def reply(self, script: list[Answer]) -> None:
                status, headers, body = script.pop(0) if len(script) > 1 else script[0]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted()
    serving = threading.Thread(target=script.server.serve_forever, args=(0.02,))
    serving.start()
    yield script
    script.released.set()
    script.server.shutdown()
    script.server.server_close()
    serving.join()


@pytest.fixture
def open_forecaster() -> Iterator[Callable[..., V2Forecaster]]:
    opened: list[V2Forecaster] = []

    def make(endpoint: Any, timeout_secs: float = 5.0) -> V2Forecaster:
        opened.append(V2Forecaster(endpoint, "forecaster", timeout_secs))
        return opened[-1]

    yield make
    for forecaster in opened:
        forecaster.close()


def _without_header(answer: Answer) -> Answer:
    return answer[0], {}, answer[2]


def _cut(answer: Answer) -> Answer:
    return answer[0], answer[1], answer[2][:-4]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ((500, {}, b'{"error": "the graph fell over"}'), "status 500.*the graph fell over"),
        ((404, {}, b"no such model"), "status 404"),
        ((503, {}, b""), "status 503"),
        ((200, {}, b"hello"), "not a v2 answer"),
        ((200, {"Inference-Header-Content-Length": "x"}, b"{}"), "not a v2 answer"),
        ((200, {"Inference-Header-Content-Length": "5"}, b"{brok"), "not a v2 answer"),
        ((200, {"Inference-Header-Content-Length": "2"}, b"{}"), "not a v2 answer"),
        (_without_header(tensors([0.01], [0.02])), "not a v2 answer"),
        (_cut(tensors([0.01], [0.02])), "not a v2 answer"),
        (tensors([0.01], [0.02], datatype="FP64"), "not a v2 answer"),
        (tensors([0.01], [0.02], shape=[7]), "not a v2 answer"),
        (tensors([0.01], [0.02], name="mean"), "not a v2 answer"),
        (tensors([0.01, 0.01], [0.02, 0.02]), "for 1 rows"),
        (tensors([], []), "for 1 rows"),
        (tensors([float("nan")], [0.02]), "mean nan"),
        (tensors([0.01], [float("inf")]), "std inf"),
        (tensors([0.01], [0.0]), "std 0.0"),
        (tensors([0.01], [-0.02]), "std -0.0"),
    ],
)
def test_answer_that_must_not_be_traded_on_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster], answer: Answer, what: str
) -> None:
    scripted.answers = [answer]
    with pytest.raises(ForecasterUnavailable, match=what):
        open_forecaster(scripted.url).forecast([SNAPSHOT])


@pytest.mark.parametrize(
    ("said", "approved_for"),
    [({}, "none"), ({"approved_for": "live"}, "live"), ({"approved_for": ["live"]}, "none")],
)
def test_a_server_that_does_not_say_what_its_model_may_trade_is_approved_for_nothing(
    scripted, open_forecaster, said: dict[str, Any], approved_for: str
) -> None:
    status, headers, body = signature()
    scripted.signatures = [(status, headers, json.dumps({**json.loads(body), **said}).encode())]
    assert open_forecaster(scripted.url).signature().approved_for == approved_for


@pytest.mark.parametrize("answer", [(404, {}, b"{}"), (200, {}, b"[]"), (200, {}, b'{"name": "x"}'), (200, {}, b"<")])
def test_server_without_a_signature_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster], answer: Answer
) -> None:
    scripted.signatures = [answer]
    with pytest.raises(ForecasterUnavailable, match=r"signature|status 404"):
        open_forecaster(scripted.url).signature()


def test_slow_answer_is_unavailable(scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]) -> None:
    scripted.released.clear()
    with pytest.raises(ForecasterUnavailable, match="Timeout"):
        open_forecaster(scripted.url, timeout_secs=0.2).forecast([SNAPSHOT])


def test_refused_connection_is_unavailable(open_forecaster: Callable[..., V2Forecaster]) -> None:
    with pytest.raises(ForecasterUnavailable, match="does not answer"):
        open_forecaster(f"http://127.0.0.1:{free_port()}").forecast([SNAPSHOT])


def test_nothing_deployed_is_unavailable(open_forecaster: Callable[..., V2Forecaster], tmp_path: Any) -> None:
    with pytest.raises(ForecasterUnavailable, match="nothing is deployed"):
        open_forecaster(partial(deployed_url, tmp_path, "forecaster")).signature()


def test_version_that_switches_behind_one_url_is_asked_again_in_its_own_order(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.signatures = [signature(), signature(SECOND)]
    scripted.answers = [tensors([0.01], [0.02]), tensors([0.9], [0.02], SECOND), tensors([0.03], [0.02], SECOND)]
    asks = open_forecaster(scripted.url)
    assert [asks.forecast([SNAPSHOT]).rows[0].mean for _ in range(2)] == pytest.approx([0.01, 0.03])
    assert scripted.versions == ["1", "1", "2"], "each question names the version it is written for"
    assert scripted.columns == ["ret_1,rsi_14", "ret_1,rsi_14", "rsi_14,ret_1"]
    assert asks.signature().version == "2"


def test_server_that_refuses_our_columns_is_asked_for_its_signature_again(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.signatures = [signature(), signature(SECOND)]
    scripted.answers = [(400, {}, b"columns in this order"), tensors([0.03], [0.02], SECOND)]
    assert open_forecaster(scripted.url).forecast([SNAPSHOT]).rows[0].model_version == "2"


def test_server_that_has_not_the_version_any_more_is_asked_under_the_one_it_has(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.signatures = [signature(), signature(SECOND)]
    scripted.answers = [GONE, tensors([0.03], [0.02], SECOND)]
    answer = open_forecaster(scripted.url).forecast([SNAPSHOT])
    assert answer == Forecasts(
        SECOND, (Forecast("AAPL", SNAPSHOT.ts, np.float32(0.03).item(), np.float32(0.02).item(), "2"),)
    )
    assert (scripted.versions, scripted.columns) == (["1", "2"], ["ret_1,rsi_14", "rsi_14,ret_1"])


def test_server_whose_version_is_gone_at_every_question_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.answers = [GONE]
    with pytest.raises(ForecasterUnavailable, match=r"status 404.*serves version 2, not 1\..*Wait for the deployment"):
        open_forecaster(scripted.url).forecast([SNAPSHOT])
    assert scripted.versions == ["1"] * ATTEMPTS


def test_new_version_whose_features_the_snapshots_do_not_hold_is_not_asked(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.signatures = [signature(), signature(replace(SECOND, features=("rsi_14", "vol_21")))]
    scripted.answers = [GONE]
    with pytest.raises(InvalidFeatures, match=r"lacks vol_21\. forecaster-2 expects, in order: rsi_14, vol_21"):
        open_forecaster(scripted.url).forecast([SNAPSHOT])
    assert scripted.versions == ["1"]


@pytest.mark.parametrize(
    "changes", [{"features": ("rsi_14", "ret_1")}, {"horizon_bars": 21}, {"run_id": "another"}, {"data_version": "8"}]
)
def test_answer_of_the_same_version_under_another_signature_is_not_returned(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster], changes: dict[str, Any]
) -> None:
    again = replace(FIRST, **changes)
    scripted.answers = [tensors([0.9], [0.02], again)]
    with pytest.raises(ForecasterUnavailable, match="under another signature"):
        open_forecaster(scripted.url).forecast([SNAPSHOT])
    scripted.signatures = [signature(), signature(again)]
    assert open_forecaster(scripted.url).forecast([SNAPSHOT]).signature == again


def test_answer_that_does_not_say_under_which_signature_it_was_given_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    status, headers, body = tensors([0.01], [0.02])
    scripted.answers = [(status, headers, body.replace(b'"parameters": {"signature"', b'"parameters": {"signaturE"'))]
    with pytest.raises(ForecasterUnavailable, match="not a v2 answer"):
        open_forecaster(scripted.url).forecast([SNAPSHOT])


def test_signature_is_of_what_is_deployed_now(scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]) -> None:
    scripted.signatures = [signature(), signature(SECOND), (500, {}, b"asked again")]
    scripted.readies = [READY, GONE, READY]
    asks = open_forecaster(scripted.url)
    assert [asks.signature() for _ in range(4)] == [FIRST, FIRST, SECOND, SECOND]


def test_signature_of_a_server_that_died_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.readies = [(503, {}, b"shutting down")]
    asks = open_forecaster(scripted.url)
    assert asks.signature() == FIRST
    with pytest.raises(ForecasterUnavailable, match=r"status 503.*shutting down"):
        asks.signature()


def test_version_is_one_part_of_the_path_whatever_it_is_called(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    odd = replace(FIRST, version="2026/11 #1")
    scripted.signatures, scripted.answers = [signature(odd)], [tensors([0.01], [0.02], odd)]
    assert open_forecaster(scripted.url).forecast([SNAPSHOT]).signature == odd
    assert scripted.versions == ["2026%2F11%20%231"]


def test_server_that_never_agrees_with_its_signature_is_unavailable(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    scripted.answers = [tensors([0.01], [0.02], SECOND)]
    with pytest.raises(ForecasterUnavailable, match="version 2 answers a question for 1"):
        open_forecaster(scripted.url).forecast([SNAPSHOT])


def test_successor_is_asked_when_the_old_server_stops_between_lookup_and_question(
    scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]
) -> None:
    stopped = f"http://127.0.0.1:{free_port()}"
    looked_up = iter([stopped, scripted.url])
    asks = open_forecaster(lambda: next(looked_up, scripted.url))
    assert asks.forecast([SNAPSHOT]).rows[0].mean == pytest.approx(0.01)


def test_signature_is_read_once_per_version(scripted: Scripted, open_forecaster: Callable[..., V2Forecaster]) -> None:
    scripted.signatures = [signature(), (500, {}, b"asked twice")]
    asks = open_forecaster(scripted.url)
    asks.forecast([SNAPSHOT])
    asks.forecast([SNAPSHOT])
    assert asks.signature().version == "1"


def test_endpoint_that_finds_nothing_is_unavailable(open_forecaster: Callable[..., V2Forecaster]) -> None:
    def endpoint() -> str:
        raise NotFound("no InferenceService.")

    with pytest.raises(ForecasterUnavailable, match="no InferenceService"):
        open_forecaster(endpoint).forecast([SNAPSHOT])
