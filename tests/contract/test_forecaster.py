"""What every `Forecaster` does: the fakes, the table, the model in process, and our KServe server over v2."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.kserve.v2 import V2Forecaster
from alphamill.adapters.memory.forecast_table import ForecastTable
from alphamill.adapters.onnx.forecaster import OnnxForecaster
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.errors import InvalidFeatures
from alphamill.ports import Forecaster
from alphamill.testing.forecaster import ConstantForecaster, SwitchingForecaster

FEATURES = ("ret_1", "rsi_14", "vol_21")
TS = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)
SIGNATURE = ModelSignature(
    "forecaster", "1", FEATURES, horizon_bars=5, data_version="7", run_id="run-1", approved_for="paper"
)


def snapshot(symbol: str, **values: float) -> FeatureSnapshot:
    return FeatureSnapshot(symbol, TS, {"rsi_14": 0.2, "ret_1": 0.1, "vol_21": 0.3, "ignored": 9.0, **values})


def constant(signature: ModelSignature = SIGNATURE) -> ConstantForecaster:
    """Says what the tiny model says about `snapshot`: 0.1 * 0.1 + 0.2 * 0.2 + 0.3 * 0.3, and 0.1 more for IBM."""
    return ConstantForecaster(signature, mean={"AAPL": 0.14, "IBM": 0.24}, std=0.02)


def table() -> ForecastTable:
    rows = {"symbol": ["AAPL", "IBM"], "ts": [TS, TS], "mean": [0.14, 0.24], "std": [0.02, 0.02]}
    return ForecastTable(pl.DataFrame(rows), SIGNATURE)


@pytest.fixture(params=["constant", "switching", "table", "onnx", "v2"])
def forecaster(request: pytest.FixtureRequest) -> Iterator[Forecaster]:
    if request.param == "constant":
        yield constant()
    elif request.param == "switching":
        yield SwitchingForecaster([constant(), constant(dataclasses.replace(SIGNATURE, version="2"))])
    elif request.param == "table":
        yield table()
    elif request.param == "onnx":
        yield OnnxForecaster(request.getfixturevalue("forecaster_dir"), version="1")
    else:
        asks = V2Forecaster(request.getfixturevalue("forecaster_url"), "forecaster", timeout_secs=20)
        yield asks
        asks.close()


def test_signature_names_version_features_in_order_and_origin(forecaster: Forecaster) -> None:
    assert forecaster.signature() == SIGNATURE


def test_forecasts_come_in_the_order_of_the_snapshots(forecaster: Forecaster) -> None:
    answer = forecaster.forecast([snapshot("AAPL"), snapshot("IBM", ret_1=1.1)])
    aapl, ibm = answer.rows
    assert (aapl.symbol, ibm.symbol) == ("AAPL", "IBM")
    assert (aapl.mean, ibm.mean) == (pytest.approx(0.14), pytest.approx(0.24))
    assert aapl.std == pytest.approx(0.02)
    assert aapl.ts == TS
    assert aapl.model_version == "1"
    assert answer.signature == SIGNATURE


def test_a_batch_answers_as_its_rows_do_alone(forecaster: Forecaster) -> None:
    rows = [snapshot("AAPL"), snapshot("IBM", ret_1=1.1), snapshot("AAPL")]
    alone = tuple(one for row in rows for one in forecaster.forecast([row]).rows)
    assert forecaster.forecast(rows).rows == alone


def test_no_snapshots_no_forecasts(forecaster: Forecaster) -> None:
    assert forecaster.forecast([]) == Forecasts(SIGNATURE, ())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_feature_that_is_not_a_finite_float32_is_refused_by_name(forecaster: Forecaster, value: float) -> None:
    with pytest.raises(InvalidFeatures, match="rsi_14 of AAPL"):
        forecaster.forecast([snapshot("AAPL", rsi_14=value)])


def test_missing_feature_is_refused_by_name(forecaster: Forecaster) -> None:
    lacking = FeatureSnapshot("AAPL", TS, {"ret_1": 0.1, "vol_21": 0.3})
    with pytest.raises(InvalidFeatures, match=r"lacks rsi_14.*in order: ret_1, rsi_14, vol_21"):
        forecaster.forecast([lacking])


def test_model_in_process_and_over_v2_say_exactly_the_same(forecaster_dir: Path, forecaster_url: str) -> None:
    rows = [snapshot("AAPL", ret_1=i * 0.01, vol_21=-i * 0.003) for i in range(500)]
    over_v2 = V2Forecaster(forecaster_url, "forecaster", timeout_secs=20)
    assert over_v2.forecast(rows) == OnnxForecaster(forecaster_dir, version="1").forecast(rows)
    over_v2.close()


def test_endpoint_may_be_looked_up_for_every_question(forecaster_url: str) -> None:
    asked: list[str] = []
    endpoint: Callable[[], str] = lambda: asked.append("x") or forecaster_url  # type: ignore[func-returns-value]  # noqa: E731
    asks = V2Forecaster(endpoint, "forecaster", timeout_secs=20)
    asks.forecast([snapshot("AAPL")])
    asks.forecast([snapshot("AAPL")])
    assert len(asked) >= 2
    asks.close()
