"""What the controller says of itself: each metric moves when what it names happens, and lines name their request."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from structlog.contextvars import get_contextvars

from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import Order
from alphamill.errors import BrokerUnavailable
from serving.request_ids import HEADER

DEADLINE_SECS = 20.0


@pytest.fixture
def client(app, running) -> Iterator[TestClient]:
    with running(), TestClient(app, raise_server_exceptions=False) as client:
        yield client


def bodies(session) -> list[dict]:
    columns = ["symbol", "open", "high", "low", "close", "volume"]
    return [row | {"date": str(session["session"][0])} for row in session.select(columns).to_dicts()]


def counted(client: TestClient, name: str, **labels: str) -> float:
    registry = client.app.state.parts.metrics.registry
    return registry.get_sample_value(f"alphamill_{name}", labels) or 0.0


def eventually(what) -> bool:
    until = time.monotonic() + DEADLINE_SECS
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.01)
    return False


def post(client: TestClient, session) -> None:
    for body in bodies(session):
        assert client.post("/api/data", json=body).status_code == 200
    day = str(session["session"][0])
    assert eventually(lambda: client.get("/api/portfolios/demo").json()["last_decision_at"] >= day)


def heard_by(system) -> list[Order]:
    """All that the portfolio's trader says of its orders from now on."""
    heard: list[Order] = []
    trader = system.live.controller(None)
    trader._books._on_orders = heard.extend
    return heard


def test_every_status_that_an_order_takes_is_heard_once(system) -> None:
    heard = heard_by(system)
    for session in system.ahead[:6]:
        system.run(session)
    trails: dict[str, list[str]] = {}
    for order in heard:
        trails.setdefault(order.id, []).append(order.status.value)
    assert trails
    assert all(trail[:2] == ["pending", "accepted"] for trail in trails.values())
    assert all(len(set(trail)) == len(trail) for trail in trails.values())
    known = {order.id: order.status.value for order in system.ledger.orders("demo")}
    assert {order_id: trail[-1] for order_id, trail in trails.items()} == known
    assert "filled" in Counter(known.values())


def test_an_order_without_an_answer_is_heard(system, monkeypatch) -> None:
    heard = heard_by(system)

    def silent(order: Order) -> Order:
        raise BrokerUnavailable("no answer")

    monkeypatch.setattr(system.broker, "submit", silent)
    system.run(system.ahead[0])
    assert {order.status.value for order in heard} == {"pending", "in_flight"}


def test_an_order_that_is_cancelled_is_heard(system) -> None:
    system.run(system.ahead[0])
    heard = heard_by(system)
    system.live.set_state("demo", TradingState.HALTED, "because")
    system.live.enforce_states()
    assert heard
    assert {order.status.value for order in heard} == {"cancelled"}


def test_orders_are_counted_in_every_state_they_take(client, system) -> None:
    metrics = client.app.state.parts.metrics
    trader = system.live.controller(None)
    trader._books._on_orders = metrics.on_orders
    for session in system.ahead[:3]:
        post(client, session)
    orders = system.ledger.orders("demo")
    # An order is counted once the ledger holds it: a moment later.
    assert eventually(lambda: counted(client, "orders_total", portfolio="demo", status="pending") == len(orders))
    filled = sum(order.status.value == "filled" for order in orders)
    assert filled
    assert counted(client, "orders_total", portfolio="demo", status="filled") == filled


def test_a_target_set_by_hand_is_counted_as_a_decision(client, system) -> None:
    post(client, system.ahead[0])
    symbol = sorted(system.live.trader.symbols)[0]
    assert client.post("/api/portfolio/update", json={"weights": {symbol: 0.1}}).status_code == 200
    assert eventually(lambda: counted(client, "decisions_total", portfolio="demo", source="manual") == 1)


def test_a_bar_that_the_door_refuses_is_counted_by_its_rule(client, system) -> None:
    body = bodies(system.ahead[0])[0]
    assert client.post("/api/data", json={**body, "low": body["high"] * 2}).status_code == 422
    assert counted(client, "bars_quarantined_total", reason="OHLC_INCONSISTENT") == 1
    assert counted(client, "bars_refused_total", reason="INVALID_BAR") == 1
    assert client.post("/api/data", json={**body, "symbol": "NOBODY"}).status_code == 422
    assert counted(client, "bars_refused_total", reason="UNKNOWN_SYMBOL") == 1


@pytest.mark.parametrize("given", ["req-1", "A.b_c-9", "x" * 64])
def test_a_request_keeps_the_id_it_came_with(client, given: str) -> None:
    assert client.get("/healthz", headers={HEADER: given}).headers[HEADER] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "-x", "a\tb", None])
def test_a_request_without_a_sane_id_gets_one(client, given: str | None) -> None:
    ids = {client.get("/healthz", headers={HEADER: given} if given is not None else {}).headers[HEADER] for _ in "ab"}
    assert len(ids) == 2
    assert all(len(found) == 32 and found != given for found in ids)


def test_the_id_is_bound_while_the_request_is_answered(app, client) -> None:
    seen: list[dict] = []

    @app.get("/probe")
    def probe() -> None:
        seen.append(get_contextvars())

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("broken")

    client.get("/probe", headers={HEADER: "req-1"})
    assert seen == [{"request_id": "req-1"}]
    answer = client.get("/broken", headers={HEADER: "req-2"})
    assert (answer.status_code, answer.headers[HEADER]) == (500, "req-2")


def test_lines_within_a_decision_name_portfolio_and_decision(system, monkeypatch) -> None:
    seen: list[dict] = []
    submit = system.broker.submit

    def noting(order: Order) -> Order:
        seen.append(get_contextvars())
        return submit(order)

    monkeypatch.setattr(system.broker, "submit", noting)
    system.run(system.ahead[0])
    decision = system.last_decision()
    assert seen
    assert all((s["portfolio"], s["decision_id"]) == ("demo", decision.id) for s in seen)
    assert not get_contextvars()
