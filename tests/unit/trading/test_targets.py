"""Weights a person sends: all good or nothing."""

import math

import pytest

from alphamill.domain.portfolios import PortfolioSpec, Sizing, Universe
from alphamill.errors import AlphamillError, InvalidWeights, UnknownSymbol
from alphamill.trading.targets import require_valid_targets


@pytest.fixture
def spec() -> PortfolioSpec:
    return PortfolioSpec(name="demo", universe=Universe(symbols=("A", "B", "C")))


def test_weights_at_the_limits_are_accepted(spec: PortfolioSpec) -> None:
    require_valid_targets(spec, {"A": 0.4, "B": 0.4, "C": 0.2})


@pytest.mark.parametrize(
    ("weights", "error", "field"),
    [
        ({}, InvalidWeights, "weights"),
        ({"TSLA": 0.1}, UnknownSymbol, "weights.TSLA"),
        ({"A": math.nan}, InvalidWeights, "weights.A"),
        ({"A": math.inf}, InvalidWeights, "weights.A"),
        ({"A": -0.1}, InvalidWeights, "weights.A"),
        ({"A": 0.41}, InvalidWeights, "weights.A"),
        ({"A": 0.4, "B": 0.4, "C": 0.3}, InvalidWeights, "weights"),
    ],
)
def test_bad_weights_name_the_field(
    spec: PortfolioSpec, weights: dict[str, float], error: type[AlphamillError], field: str
) -> None:
    with pytest.raises(error) as raised:
        require_valid_targets(spec, weights)
    assert raised.value.field == field
    assert raised.value.remedy


def test_a_portfolio_that_may_short_accepts_negative_weights(spec: PortfolioSpec) -> None:
    short = spec.model_copy(update={"sizing": Sizing(long_only=False)})
    require_valid_targets(short, {"A": -0.4})
