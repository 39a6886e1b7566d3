"""The gateway's HTTP face over a system in memory, a trader behind it: the contracts to the letter, errors by field."""

import time
from collections.abc import Iterator

import polars as pl
import pytest
from fastapi.testclient import TestClient

from alphamill.features import MODEL_FEATURES
from alphamill.settings import Settings

DEADLINE_SECS = 20.0


@pytest.fixture
def client(app, running) -> Iterator[TestClient]:
    with running(), TestClient(app, raise_server_exceptions=False) as client:
        yield client


def bodies(session: pl.DataFrame) -> list[dict]:  # type: ignore[type-arg]
    columns = ["symbol", "open", "high", "low", "close", "volume"]
    return [row | {"date": str(session["session"][0])} for row in session.select(columns).to_dicts()]


def post_session(client: TestClient, session: pl.DataFrame) -> None:
    for body in bodies(session):
        assert client.post("/api/data", json=body).status_code == 200


def wait_decided(client: TestClient, session: pl.DataFrame) -> dict:  # type: ignore[type-arg]
    until = time.monotonic() + DEADLINE_SECS
    day = str(session["session"][0])
    while time.monotonic() < until:
        shown = client.get("/api/portfolios/demo").json()
        if shown["last_decision_at"] >= day:
            return shown
        time.sleep(0.01)
    pytest.fail(f"{day} was not decided in {DEADLINE_SECS} s: {shown}")


def tradable(client: TestClient, expected: bool) -> list[str]:
    """The reasons, once the trader has said whether the portfolio can trade."""
    until = time.monotonic() + DEADLINE_SECS
    while time.monotonic() < until:
        said = client.get("/api/portfolios/demo").json()["tradability"]
        if said["tradable"] is expected:
            return said["reasons"]
        time.sleep(0.01)
    pytest.fail(f"tradable is not {expected} within {DEADLINE_SECS} s: {said}")


def test_a_bar_is_stored_with_the_contract_answer(client, system) -> None:
    answer = client.post("/api/data", json=bodies(system.ahead[0])[0])
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "message": "Data stored successfully"}
    assert system.journal.pending().height == 1


def test_bars_posted_become_a_decision_and_every_order_is_explained(client, system) -> None:
    post_session(client, system.ahead[0])
    wait_decided(client, system.ahead[0])
    orders = system.ledger.orders("demo")
    assert orders
    for order in orders:
        trail = client.get(f"/api/orders/{order.id}").json()
        assert trail["order"]["id"] == order.id
        assert trail["decision"]["forecasts"]
        assert trail["decision"]["snapshots"][0]["values"]
        assert trail["decision"]["data_version"] == "bars@1"


def test_without_the_event_bus_ticks_still_decide(client, system, bus) -> None:
    bus.available = False
    post_session(client, system.ahead[0])
    assert wait_decided(client, system.ahead[0])["state"] == "ACTIVE"


def test_predict_answers_prediction_and_confidence(client) -> None:
    answer = client.post("/api/predict", json={"symbol": "SYN000", "features": [0.01] * len(MODEL_FEATURES)})
    assert answer.status_code == 200
    assert answer.json()["prediction"] == pytest.approx(0.03)
    assert answer.json()["confidence"] == pytest.approx(0.7733726, abs=1e-6)


def test_a_wrong_feature_count_names_the_expected_features_in_order(client) -> None:
    answer = client.post("/api/predict", json={"symbol": "SYN000", "features": [0.01, -0.02, 0.03]})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["field"] == "features"
    assert ", ".join(MODEL_FEATURES) in problem["remedy"]


def test_a_portfolio_update_answers_the_contract_and_becomes_orders(client, system) -> None:
    post_session(client, system.ahead[0])
    wait_decided(client, system.ahead[0])
    answer = client.post("/api/portfolio/update", json={"weights": {"SYN001": 0.25, "SYN002": 0.35}})
    told = answer.json()
    assert (answer.status_code, told["status"], told["message"]) == (200, "success", "Portfolio updated successfully")
    assert (told["decision_id"], told["refused"]) == (system.last_decision().id, [])
    assert {o.symbol for o in system.last_decision().orders} == {"SYN001", "SYN002"}
    assert system.last_decision().source == "manual"


def test_a_model_is_shown_with_status_and_date(client) -> None:
    shown = client.get("/api/model/forecaster-2").json()
    assert shown["model_id"] == "forecaster-2"
    assert shown["status"] == "deployed"
    assert len(shown["last_updated"]) == len("2024-11-15")
    assert client.get("/api/model/forecaster-1").json()["status"] == "registered"


@pytest.mark.parametrize(
    "model_id", ["forecaster-99", "abc123", "forecaster-x", "other-1", "forecaster-02", "forecaster-\u0662"]
)
def test_an_unknown_model_is_not_found(client, model_id: str) -> None:
    answer = client.get(f"/api/model/{model_id}")
    assert answer.status_code == 404
    assert model_id.split("-")[0] in answer.json()["detail"]


GOOD = {"symbol": "SYN000", "date": "2005-08-08", "open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/data", {**GOOD, "open": -1}, "open"),
        ("/api/data", {**GOOD, "high": None}, "high"),
        ("/api/data", {**GOOD, "high": 1.2}, "high"),
        ("/api/data", {**GOOD, "date": "2005-08-06"}, "session"),
        ("/api/data", {**GOOD, "date": "2999-01-02"}, "ts"),
        ("/api/data", {**GOOD, "date": "9999-12-31"}, "ts"),
        ("/api/data", {**GOOD, "date": "yesterday"}, "date"),
        ("/api/data", {**GOOD, "date": "2005-8-8"}, "date"),
        ("/api/data", {**GOOD, "date": "2005-08-08T00:00:00"}, "date"),
        ("/api/data", {**GOOD, "date": 1123459200}, "date"),
        ("/api/data", {**GOOD, "close": "1.5"}, "close"),
        ("/api/data", {**GOOD, "close": True}, "close"),
        ("/api/data", {**GOOD, "volume": -1}, "volume"),
        ("/api/data", {**GOOD, "symbol": "TSLA"}, "symbol"),
        ("/api/data", {**GOOD, "colour": "red"}, "colour"),
        ("/api/data", {}, "symbol"),
        ("/api/data", [], "body"),
        ("/api/predict", {"symbol": "SYN000", "features": []}, "features"),
        ("/api/predict", {"symbol": "SYN000", "features": ["a"]}, "features.0"),
        ("/api/predict", {"symbol": "TSLA", "features": [1.0]}, "symbol"),
        ("/api/predict", {"symbol": "SYN000", "features": ["0.1"] * len(MODEL_FEATURES)}, "features.0"),
        ("/api/portfolio/update", {"weights": {}}, "weights"),
        ("/api/portfolio/update", {"weights": {"SYN000": "0.1"}}, "weights.SYN000"),
        ("/api/portfolio/update", {"weights": {"TSLA": 0.4}}, "weights.TSLA"),
        ("/api/portfolio/update", {"weights": {"SYN000": 0.9}}, "weights.SYN000"),
        ("/api/portfolio/update", {"weights": {"SYN000": -0.1}}, "weights.SYN000"),
    ],
)
def test_bad_input_is_answered_422_and_names_the_field(client, system, path, body, field) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field, answer.text
    assert answer.json()["detail"]
    assert system.journal.pending().is_empty()


@pytest.mark.parametrize("text", ["{", "NaN", '{"symbol": NaN}', "[1,", "\x00", b"\xff{", "[" * 100_000, "9" * 5000])
@pytest.mark.parametrize("path", ["/api/data", "/api/predict", "/api/portfolio/update"])
def test_malformed_json_is_answered_422(client, path: str, text: str | bytes) -> None:
    answer = client.post(path, content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "INVALID_INPUT"


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("{", "application/json", "not valid JSON: Expecting property name"),
        (b"\xff{", "application/json", "not valid JSON: UnicodeDecodeError"),
        ("{}", "text/plain", "body: "),
    ],
)
def test_a_body_that_is_no_json_is_told_what_to_send(client, content: str | bytes, kind: str, words: str) -> None:
    problem = client.post("/api/data", content=content, headers={"content-type": kind}).json()
    assert (problem["status"], problem["field"]) == (422, "body")
    assert words in problem["detail"]
    assert "Content-Type: application/json" in problem["remedy"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(client, number: str) -> None:
    text = f'{{"weights": {{"SYN000": {number}}}}}'
    answer = client.post("/api/portfolio/update", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["field"] == "weights.SYN000"


def test_a_forecaster_that_is_down_is_answered_503(client, system) -> None:
    system.forecaster.fail()
    answer = client.post("/api/predict", json={"symbol": "SYN000", "features": [0.0] * len(MODEL_FEATURES)})
    assert answer.status_code == 503
    assert answer.json()["code"] == "FORECASTER_UNAVAILABLE"


def test_halt_cancels_open_orders_and_resume_trades_again(client, system) -> None:
    post_session(client, system.ahead[0])
    assert wait_decided(client, system.ahead[0])["open_orders"] > 0
    shown = client.post("/api/portfolios/demo/halt", json={"reason": "news"}).json()
    assert (shown["state"], shown["state_reason"]) == ("HALTED", "news")
    until = time.monotonic() + DEADLINE_SECS
    while client.get("/api/portfolios/demo").json()["open_orders"] and time.monotonic() < until:
        time.sleep(0.01)
    post_session(client, system.ahead[1])
    assert wait_decided(client, system.ahead[1])["positions"] == []
    assert client.post("/api/portfolio/update", json={"weights": {"SYN000": 0.1}}).status_code == 409
    assert client.post("/api/portfolios/demo/reduce", json={"reason": "less"}).json()["state"] == "REDUCING"
    assert client.post("/api/portfolios/demo/resume", json={"reason": "calm"}).json()["state"] == "ACTIVE"


def test_unknown_paths_and_names_are_problems_too(client) -> None:
    for path in ("/api/nothing", "/api/portfolios/other", "/api/orders/ord_0"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/data").status_code == 405
    assert client.get("/api/data").headers["allow"] == "POST"


def test_health_readiness_and_metrics(client, system, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "home": str(Settings().home.resolve())}
    assert tradable(client, True) == []
    system.forecaster.fail()
    assert "the forecaster is switched off" in tradable(client, False)[0]
    assert client.get("/readyz").status_code == 200  # it serves requests all the same, a halt among them
    system.forecaster.recover()
    with monkeypatch.context() as broken:
        broken.setattr(system.live.controller("demo"), "on_session", lambda *args, **kwargs: 1 / 0)
        broken.setattr("alphamill.trading.trader.STUCK_SECS", 0.0)
        post_session(client, system.ahead[0])
        assert "a closed session has been waiting for" in tradable(client, False)[0]
    assert tradable(client, True) == []
    assert [p["name"] for p in client.get("/api/portfolios").json()] == ["demo"]
    wait_decided(client, system.ahead[0])
    text = client.get("/metrics").text
    assert 'alphamill_bars_received_total{source="api"} 3.0' in text
    assert 'alphamill_portfolio_state{portfolio="demo",state="ACTIVE"} 1.0' in text


def test_the_api_page_needs_nothing_from_another_network(client) -> None:
    page = client.get("/docs").text
    assert "swagger" in page.lower()
    assert "http://" not in page
    assert "https://" not in page


def test_every_contract_call_has_an_example_in_the_openapi(client) -> None:
    document = client.get("/openapi.json").json()
    calls = ("/api/data", "/api/predict", "/api/portfolio/update")
    for path in calls:
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]["examples"]
        assert "422" in document["paths"][path]["post"]["responses"]
    assert "404" in document["paths"]["/api/model/{model_id}"]["get"]["responses"]
