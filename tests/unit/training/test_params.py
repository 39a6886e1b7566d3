"""Parameters and the space they are drawn from."""

import pytest
from pydantic import ValidationError

from alphamill.errors import InvalidConfig
from alphamill.training import ModelParams, ParamSpace, parse_params


def test_same_seed_same_configurations() -> None:
    space = ParamSpace()
    assert space.sample(6, 1) == space.sample(6, 1)
    assert space.sample(6, 1) != space.sample(6, 2)


def test_fewer_trials_are_the_first_of_more() -> None:
    assert ParamSpace().sample(4, 1) == ParamSpace().sample(9, 1)[:4]


def test_draws_stay_within_the_space() -> None:
    space = ParamSpace(dropout=(0.1, 0.2), learning_rate=(1e-3, 2e-3), hidden=((8,), (4, 4)), patience_epochs=2)
    for params in space.sample(50, 0):
        assert 0.1 <= params.dropout <= 0.2
        assert 1e-3 <= params.learning_rate <= 2e-3
        assert params.hidden in space.hidden
        assert params.patience_epochs == 2


@pytest.mark.parametrize("ranges", [{"dropout": (0.5, 0.1)}, {"learning_rate": (0.0, 0.1)}])
def test_empty_or_impossible_range_is_refused(ranges: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ValidationError, match="low <= high"):
        ParamSpace(**ranges)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"epochs": 0}, "epochs"), ({"learning_rate": float("nan")}, "learning_rate"), ({"depth": 3}, "depth")],
)
def test_wrong_parameter_is_named(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse_params(values)
    assert refused.value.field == field


def test_hidden_widths_are_positive() -> None:
    with pytest.raises(InvalidConfig, match="hidden widths"):
        parse_params({"hidden": [8, 0]})


def test_parameters_survive_json() -> None:
    params = ModelParams(architecture="mlp", hidden=(8, 4), patience_epochs=3)
    assert parse_params(params.model_dump(mode="json")) == params
