"""Bar to order on the real parts: one happy path, one halted, parts that die, and nothing left behind.

The tests share one demo and run in the order they stand here.
"""

import json
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alphamill.adapters.sql import SqlLedgerView
from alphamill.cli.__main__ import app
from alphamill.features import MODEL_FEATURES

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("demo")]


@pytest.fixture
def ledger(demo):
    reader = SqlLedgerView(f"sqlite:///{demo.home}/ledger.db")
    yield reader
    reader.close()


@pytest.fixture
def cli(demo, monkeypatch):
    def run(*arguments: str):
        monkeypatch.setenv("ALPHAMILL_HOME", str(demo.home))
        monkeypatch.setenv("ALPHAMILL_PORTFOLIOS", json.dumps([str(demo.home.parents[1] / "portfolio.yaml")]))
        return CliRunner().invoke(app, list(arguments))

    return run


def test_the_demo_ends_with_parity_and_a_report(demo) -> None:
    text = demo.output.read_text()
    assert "live equals backtest" in text
    assert "live DIFFERS" not in text
    report = next(line.split()[1] for line in text.splitlines() if line.startswith("report  /"))
    assert "forecaster-1" in Path(report).read_text()


def test_every_order_is_explained_back_to_its_data(demo, ledger, cli) -> None:
    orders = ledger.orders("small")
    assert orders
    for order in orders:
        result = cli("explain", order.id)
        assert result.exit_code == 0, result.output
        for word in ("forecaster-1", "bars@", "ret_5", order.symbol):
            assert word in result.output
    assert cli("explain", "ord_0").exception


def test_the_four_contracts_answer_to_the_letter(demo) -> None:
    traded = demo.trade(demo.aside[0])
    assert traded["state"] == "ACTIVE"
    good = {"symbol": "SYN000", "features": [0.01] * len(MODEL_FEATURES)}
    predicted = demo.client.post("/api/predict", json=good)
    assert predicted.status_code == 200
    assert set(predicted.json()) == {"prediction", "confidence"}
    assert 0.5 <= predicted.json()["confidence"] <= 1
    refused = demo.client.post("/api/predict", json={"symbol": "SYN000", "features": [0.01, -0.02, 0.03]})
    assert refused.status_code == 422
    assert ", ".join(MODEL_FEATURES) in refused.json()["remedy"]
    updated = demo.client.post("/api/portfolio/update", json={"weights": {"SYN000": 0.25, "SYN001": 0.35}})
    told = updated.json()
    assert (told.pop("decision_id").startswith("dec_"), told.pop("refused")) == (True, [])
    assert told == {"status": "success", "message": "Portfolio updated successfully"}
    shown = demo.client.get("/api/model/forecaster-1").json()
    assert (shown["model_id"], shown["status"]) == ("forecaster-1", "deployed")


def test_the_same_bars_again_change_nothing(demo, ledger) -> None:
    before = demo.portfolio(), len(ledger.decisions("small"))
    demo.post(demo.aside[0])
    demo.trade(demo.aside[1])
    assert len(ledger.decisions("small")) == before[1] + 1


def test_a_halt_from_the_command_line_stops_everything(demo, ledger, cli) -> None:
    assert cli("portfolio", "halt", "--reason", "drill").exit_code == 0
    fills = len(ledger.fills("small"))
    shown = demo.trade(demo.aside[2])
    assert shown["state"] == "HALTED"
    assert len(ledger.fills("small")) == fills
    assert demo.client.post("/api/portfolio/update", json={"weights": {"SYN000": 0.1}}).status_code == 409
    assert cli("portfolio", "resume", "--reason", "drill is over").exit_code == 0
    assert "ACTIVE" in cli("portfolio", "status").output


def test_without_a_forecaster_positions_are_held_with_the_reason(demo, ledger) -> None:
    for pid in demo.pids("serving.forecaster"):
        os.kill(pid, signal.SIGKILL)
    demo.trade(demo.aside[3])
    decision = ledger.decisions("small")[-1]
    assert {r.code for r in decision.refusals} == {"FORECASTER_UNAVAILABLE"}
    assert decision.orders == ()
    answer = demo.client.post("/api/predict", json={"symbol": "SYN000", "features": [0.0] * len(MODEL_FEATURES)})
    assert answer.status_code == 503


def test_without_redis_bars_are_kept_and_decided_on_hold(demo, ledger) -> None:
    for pid in [*demo.pids("valkey"), *demo.pids("redis")]:
        os.kill(pid, signal.SIGKILL)
    demo.trade(demo.aside[4])
    assert ledger.decisions("small")[-1].orders == ()
    # The gateway takes bars and halts all the same; what stands in the way of trading is said of each portfolio.
    assert demo.client.get("/readyz").status_code == 200
    assert demo.portfolio()["tradability"]["tradable"] is False


def test_ctrl_c_leaves_no_process_behind(demo) -> None:
    assert demo.pids()
    os.killpg(demo.process.pid, signal.SIGINT)
    demo.process.wait(timeout=60)
    demo.wait_until(lambda: not demo.pids(), "the end of all processes")
