import datetime as dt
import math

import polars as pl
import pytest

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit, MissingFeatures
from alphamill.evaluation.baselines import baseline_specs, momentum_panel

SPEC = PortfolioSpec.model_validate(
    {"name": "demo", "universe": {"symbols": ["A", "B"]}, "sizing": {"top_k": 3, "max_weight": 0.4}}
)


def rows(*values: float | None) -> pl.DataFrame:
    at = [dt.datetime(2020, 1, 1 + i, tzinfo=dt.UTC) for i in range(len(values))]
    return pl.DataFrame(
        {"symbol": "A", "ts": at, "momentum_12_1": values}, schema_overrides={"momentum_12_1": pl.Float64}
    )


def test_baselines_differ_from_the_portfolio_only_in_name_and_sizing() -> None:
    specs = baseline_specs(SPEC)
    assert [spec.sizing.method for spec in specs.values()] == ["equal_weight", "top_k"]
    for spec in specs.values():
        assert spec.model_copy(update={"name": SPEC.name, "sizing": SPEC.sizing}) == SPEC
        assert PortfolioSpec.model_validate(spec.model_dump()) == spec


def test_the_weight_cap_never_binds_a_baseline() -> None:
    specs = baseline_specs(SPEC)
    assert all(spec.sizing.max_weight == 0.5 for spec in specs.values())
    assert specs["12-1 momentum"].sizing.top_k == 2


def test_names_stay_valid_for_a_long_portfolio_name() -> None:
    long = SPEC.model_copy(update={"name": "a" * 39 + "-" + "b" * 20})
    for spec in baseline_specs(long).values():
        PortfolioSpec.model_validate(spec.model_dump())


def test_momentum_is_the_mean_and_warm_up_rows_are_left_out() -> None:
    panel = momentum_panel(rows(None, math.nan, 0.2, -0.1), std=0.03)
    assert panel.columns == ["symbol", "ts", "mean", "std"]
    assert panel["mean"].to_list() == [0.2, -0.1]
    assert panel["std"].to_list() == [0.03, 0.03]


def test_momentum_that_is_missing_or_only_warm_up_is_refused() -> None:
    with pytest.raises(MissingFeatures, match="momentum_12_1"):
        momentum_panel(rows(0.1).drop("momentum_12_1"))
    with pytest.raises(MissingFeatures, match="warm-up"):
        momentum_panel(rows(None, None))


def test_infinite_momentum_is_refused() -> None:
    with pytest.raises(DataUnfit, match="infinite"):
        momentum_panel(rows(0.1, math.inf))
