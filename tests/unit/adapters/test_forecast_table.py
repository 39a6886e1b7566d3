"""Forecasts made before: looked up exactly, or refused."""

import datetime as dt
import time

import polars as pl
import pytest

from alphamill.adapters.memory.forecast_table import ForecastTable
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, Forecasts, ModelSignature
from alphamill.errors import DataUnfit, ForecasterUnavailable, InvalidConfig, InvalidFeatures

SIGNATURE = ModelSignature("forecaster", "walk-forward", ("f0",), horizon_bars=5, data_version="7", run_id="r")
TS = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)


def panel(**changes: object) -> pl.DataFrame:
    columns = {"symbol": ["AAA", "BBB"], "ts": [TS, TS], "mean": [0.1, -0.2], "std": [0.3, 0.4], "fold": [0, 0]}
    return pl.DataFrame({**columns, **changes}, schema_overrides={"mean": pl.Float64, "std": pl.Float64})


def snapshot(symbol: str = "AAA", ts: dt.datetime = TS, **values: float) -> FeatureSnapshot:
    return FeatureSnapshot(symbol, ts, values or {"f0": 1.0})


def test_forecast_is_the_row_of_symbol_and_time() -> None:
    table = ForecastTable(panel(), SIGNATURE)
    assert table.signature() == SIGNATURE
    assert table.forecast([snapshot("BBB"), snapshot("AAA")]) == Forecasts(
        SIGNATURE,
        (Forecast("BBB", TS, -0.2, 0.4, "walk-forward"), Forecast("AAA", TS, 0.1, 0.3, "walk-forward")),
    )
    assert table.forecast([]) == Forecasts(SIGNATURE, ())


@pytest.mark.parametrize("asked", [snapshot("CCC"), snapshot(ts=TS + dt.timedelta(seconds=1))])
def test_row_that_is_not_there_is_unavailable(asked: FeatureSnapshot) -> None:
    with pytest.raises(ForecasterUnavailable, match="no forecast for"):
        ForecastTable(panel(), SIGNATURE).forecast([snapshot(), asked])


@pytest.mark.parametrize(
    ("values", "what"), [({"other": 1.0}, "AAA at .* lacks f0"), ({"f0": float("nan")}, "f0 of AAA at .* is nan")]
)
def test_snapshot_that_the_model_would_refuse_is_refused(values: dict[str, float], what: str) -> None:
    with pytest.raises(InvalidFeatures, match=what):
        ForecastTable(panel(), SIGNATURE).forecast([snapshot(**values)])


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": [float("nan"), 0.1]},
        {"mean": [None, 0.1]},
        {"std": [0.0, 0.1]},
        {"std": [float("inf"), 0.1]},
        {"symbol": [None, "BBB"]},
        {"symbol": ["AAA", "AAA"]},
    ],
)
def test_panel_that_must_not_be_traded_on_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataUnfit):
        ForecastTable(panel(**changes), SIGNATURE)


def test_missing_column_is_named() -> None:
    with pytest.raises(InvalidConfig, match="lacks std"):
        ForecastTable(panel().drop("std"), SIGNATURE)


def test_ten_thousand_questions_take_under_a_second() -> None:
    table = ForecastTable(panel(), SIGNATURE)
    asked = [snapshot("AAA"), snapshot("BBB")]
    start = time.process_time()
    for _ in range(10_000):
        table.forecast(asked)
    assert time.process_time() - start < 1.0
