"""Values at the edge of what is allowed: accepted exactly when an independent reading of the rules says so."""

import json
import math
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphamill.domain.calendars import sessions_between
from alphamill.features import MODEL_FEATURES

#: One system serves all examples of a test: what is accepted must not change what the next answer is.
MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SYMBOLS = ("SYN000", "SYN001", "SYN002")
names = st.sampled_from((*SYMBOLS, *SYMBOLS, "TSLA", "syn000", "", "A" * 21))
anything = st.one_of(st.floats(), st.integers(), st.text(max_size=4), st.booleans(), st.none())


@pytest.fixture
def client(app, running) -> Iterator[TestClient]:
    with running(), TestClient(app, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, path: str, body: object) -> int:
    """The status; a refusal is a problem that names its field."""
    # The encoder of the client refuses NaN; a foreign client may not.
    answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["field"], answer.text
    return answer.status_code


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


edges = st.sampled_from((0.0, -0.0, 0.25, 0.5, 0.5 + 1e-12, 0.5001, -1e-12, -0.01, 1e-300, 1e308, math.nan, math.inf))


@MANY
@given(st.dictionaries(names, st.one_of(edges, st.floats(-0.1, 0.6), anything), max_size=4))
def test_weights_are_accepted_exactly_when_every_one_and_their_sum_are_within_limits(client, weights) -> None:
    valid = bool(weights) and all(
        symbol in SYMBOLS and is_number(weight) and -1e-9 <= weight <= 0.5 + 1e-9 for symbol, weight in weights.items()
    )
    valid = valid and sum(weights.values()) <= 1 + 1e-9
    assert post(client, "/api/portfolio/update", {"weights": weights}) == (200 if valid else 422)


@MANY
@given(names, st.data())
def test_features_are_accepted_exactly_when_all_are_numbers_the_model_can_take(client, symbol, data) -> None:
    count = data.draw(st.sampled_from((len(MODEL_FEATURES),) * 3 + (0, 1, len(MODEL_FEATURES) + 1)))
    values = st.one_of(st.floats(-10, 10), st.floats(-10, 10), st.sampled_from((1e30, 1e39, -1e300)), anything)
    features = data.draw(st.lists(values, min_size=count, max_size=count))
    fits = len(features) == len(MODEL_FEATURES) and all(is_number(value) for value in features)
    # The protocol carries FP32: a larger number would arrive as infinity.
    fits = fits and all(abs(value) < 3.4028236e38 for value in features)
    assert post(client, "/api/predict", {"symbol": symbol, "features": features}) == (
        200 if fits and symbol in SYMBOLS else 422
    )


prices = st.sampled_from((9.0, 9.5, 10.0, 10.0, 10.5, 11.0, 0.0, -1.0, 1e-300, 1e12, 1.1e12, math.nan))


@MANY
@given(names, st.data())
def test_bars_are_accepted_exactly_when_they_are_bars(client, system, symbol, data) -> None:
    sessions = [frame["session"][0] for frame in system.ahead]
    day = data.draw(st.one_of(st.sampled_from(sessions), st.dates(sessions[0], sessions[-1])))
    low, opens, closes, high = (data.draw(prices) for _ in range(4))
    volume = data.draw(st.sampled_from((0, 1, 1e6, 1e18, 1.1e18, -1, math.inf)))
    bar = {"symbol": symbol, "date": str(day), "open": opens, "high": high, "low": low, "close": closes}
    # Ingestion writes symbols in upper case, whatever the source does.
    valid = symbol.upper() in SYMBOLS and not sessions_between("XNYS", day, day).is_empty()
    valid = valid and all(is_number(p) and 0 < p <= 1e12 for p in (low, opens, closes, high))
    valid = valid and low <= min(opens, closes) and high >= max(opens, closes)
    valid = valid and 0 <= volume <= 1e18
    assert post(client, "/api/data", {**bar, "volume": volume}) == (200 if valid else 422)
