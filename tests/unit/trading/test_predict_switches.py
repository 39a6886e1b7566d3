"""POST /api/predict while the model is switched: the answer is of the model that the numbers were read for, or none."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.signature import feature_matrix, to_forecasts
from alphamill.ports import Forecaster
from alphamill.testing.forecaster import SwitchingForecaster

SENT = [0.5, -0.25, 0.125]


class FirstFeature:
    """The `Forecaster` port; its mean is the feature that it names first, so that another order shows."""

    def __init__(self, version: str, *features: str, horizon_bars: int = 5) -> None:
        self._signature = ModelSignature("forecaster", version, features, horizon_bars, "bars@0", f"run-{version}")

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        means = feature_matrix(self._signature, snapshots)[:, 0]
        return to_forecasts(self._signature, snapshots, means, np.full(len(snapshots), 0.02))


ABC = FirstFeature("1", "a", "b", "c")
CBA = FirstFeature("2", "c", "b", "a", horizon_bars=21)
ABCD = FirstFeature("3", "a", "b", "c", "d")


class Deployed:
    """The `Forecaster` port; a test puts another one behind it."""

    asks: Forecaster = ABC

    def signature(self) -> ModelSignature:
        return self.asks.signature()

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        return self.asks.forecast(snapshots)


@pytest.fixture
def deployed(parts: dict) -> Deployed:  # type: ignore[type-arg]
    parts["forecaster"] = Deployed()
    return parts["forecaster"]


@pytest.fixture
def client(deployed: Deployed, app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def predict(client: TestClient, features: list[float] = SENT) -> tuple[int, dict]:  # type: ignore[type-arg]
    answer = client.post("/api/predict", json={"symbol": "SYN000", "features": features})
    return answer.status_code, answer.json()


#: Between the signature and the question, and before and after the question is written.
MOMENTS = (2, 3, 4)


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_switch_the_numbers_are_read_again_for_the_new_model(
    client: TestClient, deployed: Deployed, moment: int
) -> None:
    deployed.asks = SwitchingForecaster((ABC, CBA), {moment})
    status, answer = predict(client)
    assert (status, answer.keys()) == (200, {"prediction", "confidence"})
    assert answer["prediction"] == SENT[0]


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_switch_to_a_model_of_another_count_its_features_are_named(
    client: TestClient, deployed: Deployed, moment: int
) -> None:
    deployed.asks = SwitchingForecaster((ABC, ABCD), {moment})
    status, answer = predict(client)
    assert (status, answer["code"], answer["field"]) == (422, "INVALID_FEATURES", "features")
    assert "the model expects 4" in answer["detail"]
    assert answer["remedy"] == "Send, in this order: a, b, c, d."


def test_a_second_switch_during_one_call_is_answered_503(client: TestClient, deployed: Deployed) -> None:
    deployed.asks = SwitchingForecaster((ABC, CBA), {3, 7})
    status, answer = predict(client)
    assert (status, answer["code"]) == (503, "FORECASTER_UNAVAILABLE")
    assert "switched during each of 2 questions" in answer["detail"]


def test_a_number_that_no_model_takes_is_the_callers(client: TestClient) -> None:
    status, answer = predict(client, [1e300, 0.0, 0.0])
    assert (status, answer["code"], answer["field"]) == (422, "INVALID_FEATURES", "a")


def test_wherever_two_switches_fall_no_answer_is_given_under_another_order(
    client: TestClient, deployed: Deployed
) -> None:
    ended: Counter[int] = Counter()
    for models in ((ABC, CBA), (CBA, ABC), (ABC, ABCD), (ABC, CBA, ABCD)):
        for moments in combinations(range(1, 13), 2):
            deployed.asks = SwitchingForecaster(models, moments)
            status, answer = predict(client)
            ended[status] += 1
            assert status in {200, 422, 503}, answer
            assert status != 200 or answer["prediction"] == SENT[0], (models, moments)
            assert status != 422 or answer["remedy"] == "Send, in this order: a, b, c, d.", (models, moments)
    assert ended.keys() == {200, 422, 503}
