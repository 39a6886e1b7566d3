"""Whatever is sent to the controller's API: no 5xx, nothing invalid accepted, nothing valid refused."""

import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import uvicorn

EXAMPLES_EACH = 40
#: Real names and consistent prices, so that the fuzzer also gets past the door.
CONFIG = """
[dictionaries]
symbols = {{ values = ["SYN000", "SYN001", "SYN002"] }}
sessions = {{ values = {sessions} }}
lows = {{ values = [10.0, 11.5] }}
opens = {{ values = [11.5, 12.0] }}
highs = {{ values = [12.0, 12.5] }}
factors = {{ values = [1.0, 0.5] }}
portfolios = {{ values = ["demo"] }}
models = {{ values = ["forecaster-1"] }}
orders = {{ values = ["{order}"] }}

[parameters]
"body.symbol" = {{ dictionary = "symbols", probability = 0.7 }}
"body.date" = {{ dictionary = "sessions", probability = 0.7 }}
"body.open" = {{ dictionary = "opens", probability = 0.7 }}
"body.close" = {{ dictionary = "opens", probability = 0.7 }}
"body.high" = {{ dictionary = "highs", probability = 0.7 }}
"body.low" = {{ dictionary = "lows", probability = 0.7 }}
"body.price_factor" = {{ dictionary = "factors", probability = 0.7 }}
"path.name" = {{ dictionary = "portfolios", probability = 0.7 }}
"path.model_id" = {{ dictionary = "models", probability = 0.7 }}
"path.order_id" = {{ dictionary = "orders", probability = 0.7 }}
"query.portfolio" = {{ dictionary = "portfolios", probability = 0.7 }}
"""
#: Only a list of the model's length, or weights of the universe, get through: test_api_values draws those.
RARELY_VALID = {"/api/predict", "/api/portfolio/update"}


@pytest.fixture
def answers() -> Counter:  # type: ignore[type-arg]
    """How often each (path, status) was answered."""
    return Counter()


@pytest.fixture
def url(app, answers) -> Iterator[str]:
    """The application behind a real HTTP server on a free port."""

    async def counted(scope, receive, send):  # type: ignore[no-untyped-def]
        async def sending(message):  # type: ignore[no-untyped-def]
            if message["type"] == "http.response.start" and "route" in scope:
                answers[scope["route"].path, message["status"]] += 1
            await send(message)

        await app(scope, receive, sending)

    web = uvicorn.Server(uvicorn.Config(counted, log_level="critical"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until = time.monotonic() + 20
        while not web.started and time.monotonic() < until:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        web.should_exit = True
        thread.join(20)


def test_a_fuzzer_finds_no_server_error_and_nothing_invalid_that_is_accepted(url, system, answers, tmp_path) -> None:
    system.run(system.ahead[0])
    sessions = [str(frame["session"][0]) for frame in system.ahead]
    order = system.ledger.orders("demo")[0].id
    (tmp_path / "schemathesis.toml").write_text(CONFIG.format(sessions=sessions, order=order))
    command = [
        Path(sys.executable).with_name("schemathesis"),
        *("run", f"{url}/openapi.json", "--seed", "1", "--max-examples", str(EXAMPLES_EACH), "--no-color"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"),
        # A bar that fits the schema may still be no bar: its high under its low, no session, an unknown symbol.
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
    ]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    answered = {path for path, status in answers if status < 300}
    assert {path for path, _ in answers} - answered <= RARELY_VALID
    assert all(answers[path, 422] for path in ("/api/data", *RARELY_VALID))
    stored = pl.concat([system.store.read(), system.journal.pending()])
    low, high = pl.min_horizontal("open", "close", "high"), pl.max_horizontal("open", "close", "low")
    assert stored.filter((pl.col("low") > low) | (pl.col("high") < high) | (pl.col("low") <= 0)).is_empty()
    assert set(stored["symbol"]) == set(system.spec.universe.symbols)
