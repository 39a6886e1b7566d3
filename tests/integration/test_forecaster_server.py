"""Our KServe server, one real process: the v2 protocol over REST JSON, REST binary and gRPC."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.models import ModelCard
from serving.forecaster.__main__ import main

FEATURES = "ret_1, rsi_14, vol_21"
ROW = [0.1, 0.2, 0.3]


@pytest.fixture(scope="module")
def rest(forecaster_url: str) -> Any:
    with httpx.Client(base_url=forecaster_url, timeout=20, trust_env=False) as client:
        yield client


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "features", "shape": [1, 3], "datatype": "FP32", "data": ROW, **changes}


def infer(rest: httpx.Client, *tensors: dict[str, Any], version: str = "", **more: Any) -> httpx.Response:
    body = json.dumps({"inputs": list(tensors), **more})
    path = f"/v2/models/forecaster{f'/versions/{version}' if version else ''}/infer"
    return rest.post(path, content=body, headers={"Content-Type": "application/json"})


def infer_binary(rest: httpx.Client, head: Any, data: bytes, length: int | str | None = None) -> httpx.Response:
    start = head if isinstance(head, bytes) else json.dumps(head).encode()
    headers = {"Content-Type": "application/octet-stream"}
    headers["Inference-Header-Content-Length"] = str(len(start) if length is None else length)
    return rest.post("/v2/models/forecaster/infer", content=start + data, headers=headers)


def binary_head(shape: list[int], size: int) -> dict[str, Any]:
    features = {"name": "features", "shape": shape, "datatype": "FP32", "parameters": {"binary_data_size": size}}
    return {"inputs": [features], "parameters": {"binary_data_output": True}}


def test_metadata_and_signature_say_what_to_send(rest: httpx.Client) -> None:
    metadata = rest.get("/v2/models/forecaster").json()
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
    assert [output["name"] for output in metadata["outputs"]] == ["mean", "std"]
    assert metadata["versions"] == ["1"]
    assert rest.get("/v2/models/forecaster/signature").json() == {
        "name": "forecaster",
        "version": "1",
        "features": ["ret_1", "rsi_14", "vol_21"],
        "horizon_bars": 5,
        "data_version": "7",
        "run_id": "run-1",
        "approved_for": "paper",
    }


def test_json_question_without_id_is_answered(rest: httpx.Client) -> None:
    answer = infer(rest, tensor(shape=[2, 3], data=[*ROW, 1.1, 0.2, 0.3]))
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert outputs["mean"] == pytest.approx([0.14, 0.24])
    assert outputs["std"] == pytest.approx([0.02, 0.02])
    assert answer.json()["model_version"] == "1"
    assert answer.json()["id"]


def test_the_version_that_is_served_answers_under_its_own_path_as_without_one(rest: httpx.Client) -> None:
    named, plain = infer(rest, tensor(), version="1", id="q-1"), infer(rest, tensor(), id="q-1")
    assert named.status_code == 200, named.text
    assert named.json() == plain.json()
    assert named.json()["model_version"] == "1"
    assert rest.get("/v2/models/forecaster/versions/1").json() == rest.get("/v2/models/forecaster").json()
    assert rest.get("/v2/models/forecaster/versions/1/ready").json() == {"name": "forecaster", "ready": True}
    assert rest.get("/v2/models/forecaster/versions/1/signature").json()["version"] == "1"


def test_another_version_than_the_one_served_is_not_found(rest: httpx.Client) -> None:
    path = "/v2/models/forecaster/versions"
    for version in ("2", "01", "1x", ""):
        answers = [infer(rest, tensor(), version=version)] if version else []
        answers += [rest.get(f"{path}/{version}{rest_of}") for rest_of in ("", "/ready", "/signature", "/infer")]
        answers += [rest.post(f"{path}/{version}/infer", content=b"neither is this read")]
        assert [answer.status_code for answer in answers] == [404] * len(answers), version
        assert {answer.text for answer in answers} == {f'{{"error":"forecaster serves version 1, not {version}."}}'}, (
            version
        )
    assert rest.get(f"{path}/1/nonsense").status_code == 404
    assert rest.get("/v2/models/other/versions/1/ready").status_code >= 400


def test_an_answer_says_under_which_signature_it_was_given(rest: httpx.Client) -> None:
    fields = rest.get("/v2/models/forecaster/signature").json()
    signature = ModelSignature(**{**fields, "features": tuple(fields["features"])})
    assert infer(rest, tensor()).json()["parameters"] == {"signature": signature.fingerprint}


def test_json_answer_carries_the_id_and_only_the_outputs_asked_for(rest: httpx.Client) -> None:
    answer = infer(rest, tensor(), id="q-1", outputs=[{"name": "mean"}]).json()
    assert answer["id"] == "q-1"
    assert [output["name"] for output in answer["outputs"]] == ["mean"]


def test_binary_question_is_answered_in_binary(rest: httpx.Client) -> None:
    rows = np.random.default_rng(7).normal(size=(500, 3)).astype("<f4")
    answer = infer_binary(rest, binary_head([500, 3], rows.nbytes), rows.tobytes())
    assert answer.status_code == 200, answer.text
    start = int(answer.headers["Inference-Header-Content-Length"])
    mean = np.frombuffer(answer.content[start : start + 2000], dtype="<f4")
    np.testing.assert_allclose(mean, rows @ np.array([0.1, 0.2, 0.3]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"shape": [1, 2], "data": ROW[:2]}, r"shape is \[1, 2\]"),
        ({"shape": [3]}, r"shape is \[3\]"),
        ({"shape": [0, 3], "data": []}, r"shape is \[0, 3\]"),
        ({"shape": [-1, 3]}, r"shape is \[-1, 3\]"),
        ({"shape": [2, 3]}, "not .2, 3. numbers"),
        ({"datatype": "FP64"}, "datatype is FP64"),
        ({"datatype": "NONSENSE"}, "datatype is NONSENSE"),
        ({"name": "prices"}, "inputs are .'prices'."),
        ({"data": [0.1, "x", 0.3]}, "not .1, 3. numbers"),
        ({"data": [0.1, "0.2", 0.3]}, "not .1, 3. numbers"),
        ({"data": [0.1, None, 0.3]}, "rsi_14 in row 0 is nan|numbers"),
        ({"data": [0.1, 1e300, 0.3]}, "rsi_14 in row 0 is inf"),
        ({"parameters": {"columns": "rsi_14,ret_1,vol_21"}}, "columns are rsi_14,ret_1,vol_21"),
    ],
)
def test_wrong_question_is_refused_with_the_expected_features_in_order(
    rest: httpx.Client, changes: dict[str, Any], what: str
) -> None:
    answer = infer(rest, tensor(**changes))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].endswith(f"columns in this order: {FEATURES}.")
    assert re.search(what, answer.json()["error"]), answer.text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_number_that_is_not_finite_is_refused_by_name(rest: httpx.Client, value: float) -> None:
    row = np.array([[0.1, 0.2, value]], dtype="<f4")
    answer = infer_binary(rest, binary_head([1, 3], 12), row.tobytes())
    assert answer.status_code == 400
    assert "vol_21 in row 0" in answer.json()["error"]


def test_each_output_can_be_asked_for_in_its_own_form(rest: httpx.Client) -> None:
    wanted = [{"name": "std"}, {"name": "mean", "parameters": {"binary_data": True}}]
    answer = infer(rest, tensor(), outputs=wanted)
    head = json.loads(answer.content[: int(answer.headers["Inference-Header-Content-Length"])])
    assert head["outputs"][0] == {"name": "std", "shape": [1], "datatype": "FP32", "data": [pytest.approx(0.02)]}
    assert head["outputs"][1]["parameters"] == {"binary_data_size": 4}
    assert np.frombuffer(answer.content[-4:], dtype="<f4") == pytest.approx([0.14])


def test_an_output_that_does_not_exist_is_refused(rest: httpx.Client) -> None:
    answer = infer(rest, tensor(), outputs=[{"name": "median"}])
    assert (answer.status_code, "mean, std" in answer.json()["error"]) == (400, True)


def test_answers_are_counted_in_the_servers_metrics(rest: httpx.Client) -> None:
    def count() -> float:
        found = re.search(
            r'^request_predict_seconds_count{model_name="forecaster"} (\S+)', rest.get("/metrics").text, re.M
        )
        return float(found[1]) if found else 0.0

    before = count()
    infer(rest, tensor())
    assert count() == before + 1


def test_more_inputs_than_one_are_refused(rest: httpx.Client) -> None:
    assert infer(rest, tensor(), tensor()).status_code == 400


def test_damaged_binary_bodies_are_refused(rest: httpx.Client) -> None:
    row = np.zeros((1, 3), dtype="<f4").tobytes()
    head = binary_head([1, 3], 12)
    damaged = [
        infer_binary(rest, head, row[:-1]),
        infer_binary(rest, head, row + b"x"),
        infer_binary(rest, head, row, length=10**9),
        infer_binary(rest, head, row, length="many"),
        infer_binary(rest, head, row, length=5),
        infer_binary(rest, b"{}", row),
        infer_binary(rest, b"[1]", b""),
        infer_binary(rest, {"inputs": [{"name": "features"}]}, row),
        infer_binary(rest, binary_head([1, 3], -12), row),
        infer_binary(rest, binary_head([1, 3], 8), row[:8]),
    ]
    assert [answer.status_code for answer in damaged] == [400] * len(damaged), [a.text for a in damaged]
    assert rest.get("/v2/health/ready").json() == {"ready": True}


def test_malformed_json_other_protocol_and_unknown_model_are_4xx(rest: httpx.Client) -> None:
    url, json_type = "/v2/models/forecaster/infer", {"Content-Type": "application/json"}
    assert 400 <= rest.post(url, content=b"{", headers=json_type).status_code < 500
    assert 400 <= rest.post(url, json={"inputs": 7}).status_code < 500
    assert rest.post("/v1/models/forecaster:predict", json={"instances": [ROW]}).status_code == 400
    assert rest.post("/v2/models/other/infer", json={"inputs": [tensor()]}).status_code == 404


def test_grpc_answers_and_refuses_as_rest_does(forecaster_ports: tuple[int, int]) -> None:
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

    with grpc.insecure_channel(f"127.0.0.1:{forecaster_ports[1]}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        question = pb.ModelInferRequest(
            model_name="forecaster",
            inputs=[{"name": "features", "shape": [1, 3], "datatype": "FP32"}],
            raw_input_contents=[np.array([ROW], dtype="<f4").tobytes()],
        )
        answer = stub.ModelInfer(question, timeout=20)
        assert np.frombuffer(answer.raw_output_contents[0], dtype="<f4") == pytest.approx([0.14])
        assert answer.model_version == "1"
        question.model_version = "1"
        assert stub.ModelInfer(question, timeout=20).model_version == "1"
        question.model_version = "2"
        with pytest.raises(grpc.RpcError) as gone:
            stub.ModelInfer(question, timeout=20)
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND
        assert gone.value.details() == "forecaster serves version 1, not 2."
        question.model_version = ""
        question.inputs[0].shape[0] = 2
        question.raw_input_contents[0] *= 2
        answer = stub.ModelInfer(question, timeout=20)
        assert np.frombuffer(answer.raw_output_contents[0], dtype="<f4") == pytest.approx([0.14, 0.14])
        question.inputs[0].shape[1] = 2
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(question, timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert FEATURES in refused.value.details()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rest_listens_on_the_given_address_only(forecaster_ports: tuple[int, int]) -> None:
    local = f"0100007F:{forecaster_ports[0]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(local[-5:])}
    assert listening == {local}


def _no_folder(folder: Path, _: Callable[..., ModelCard]) -> None:
    folder.rmdir()


def _no_graph(folder: Path, write: Callable[..., ModelCard]) -> None:
    write(folder)
    (folder / "model.onnx").write_bytes(b"\0" * 64)


def _no_card(folder: Path, write: Callable[..., ModelCard]) -> None:
    write(folder)
    (folder / "card.json").write_text("{}")


def _zero_std(folder: Path, write: Callable[..., ModelCard]) -> None:
    write(folder, std=0.0)


def _nan_mean(folder: Path, write: Callable[..., ModelCard]) -> None:
    write(folder, bias=math.nan)


@pytest.mark.parametrize(
    ("prepare", "code", "message"),
    [
        (_no_folder, 3, "holds no model.onnx"),
        (_no_graph, 2, "not a readable ONNX model"),
        (_no_card, 2, "not a model card"),
        (_zero_std, 2, "fails its warm-up"),
        (_nan_mean, 2, "fails its warm-up"),
    ],
)
def test_model_that_cannot_serve_refuses_to_start(
    tmp_path: Path,
    model_factory: Callable[..., ModelCard],
    capsys: pytest.CaptureFixture[str],
    prepare: Any,
    code: int,
    message: str,
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    prepare(folder, model_factory)
    assert main(["--model-dir", str(folder)]) == code
    assert message in capsys.readouterr().err


def test_process_of_a_refused_model_ends_with_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.forecaster", "--model-dir", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert ended.stderr.startswith("NOT_FOUND: ")
    assert ended.stderr.count("\n") == 1
