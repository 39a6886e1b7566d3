"""Networks by name. Each maps scaled features to the mean and standard deviation of a scaled return.

A new one is a function with `@architecture("name")` that returns a module; wrap any trunk in `GaussianHead`.
This module imports torch.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from alphamill.errors import InvalidConfig
from alphamill.training.params import ModelParams

Build = Callable[[int, ModelParams], nn.Module]

_ARCHITECTURES: dict[str, Build] = {}

#: Smallest standard deviation, in units of the training labels' own: keeps the likelihood bounded.
STD_FLOOR = 1e-3

#: Scaled features are cut at so many training standard deviations: one wild value must not make a wild bet.
FEATURE_LIMIT = 10.0


def architecture(name: str) -> Callable[[Build], Build]:
    """Register a builder ``(n_features, params) -> module``; its forward maps (n, k) to mean (n,), std (n,)."""

    def register(build: Build) -> Build:
        known = _ARCHITECTURES.setdefault(name, build)
        if known is not build:
            raise InvalidConfig(f"architecture {name!r} is registered already.", field="architecture")
        return build

    return register


def architectures() -> tuple[str, ...]:
    """Registered names, sorted."""
    return tuple(sorted(_ARCHITECTURES))


def builder(name: str) -> Build:
    """The registered function; `InvalidConfig` for an unknown name."""
    try:
        return _ARCHITECTURES[name]
    except KeyError as error:
        raise InvalidConfig(
            f"unknown architecture {name!r}.",
            field="architecture",
            remedy=f"Choose one of {', '.join(architectures())}, or register it with @architecture.",
        ) from error


def adopt(builders: dict[str, Build]) -> None:
    """Make builders of another process known here; names known already stay as they are."""
    for name, build in builders.items():
        _ARCHITECTURES.setdefault(name, build)


def build_network(n_features: int, params: ModelParams) -> nn.Module:
    """The network that `params.architecture` names."""
    return builder(params.architecture)(n_features, params)


class GaussianHead(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Mean and standard deviation from a trunk's output of `width` columns.

    Starts at mean 0 and std 1, the best guess before any data; std = softplus(.) + `STD_FLOOR` after
    Lakshminarayanan et al. (2017), *Simple and Scalable Predictive Uncertainty Estimation*.
    """

    def __init__(self, trunk: nn.Module, width: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.out = nn.Linear(width, 2)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([0.0, math.log(math.expm1(1.0 - STD_FLOOR))]))

    def forward(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        out = self.out(self.trunk(scaled))
        return out[:, 0], nn.functional.softplus(out[:, 1]) + STD_FLOOR


@architecture("linear")
def linear(n_features: int, params: ModelParams) -> nn.Module:
    """Mean and pre-softplus std, each linear in the features."""
    return GaussianHead(nn.Identity(), n_features)


@architecture("mlp")
def mlp(n_features: int, params: ModelParams) -> nn.Module:
    """Hidden layers of `params.hidden` units with GELU and dropout."""
    if not params.hidden:
        raise InvalidConfig("mlp needs at least one hidden layer.", field="hidden", remedy="Or take linear.")
    layers: list[nn.Module] = []
    width = n_features
    for hidden in params.hidden:
        layers += [nn.Linear(width, hidden), nn.GELU(), nn.Dropout(params.dropout)]
        width = hidden
    return GaussianHead(nn.Sequential(*layers), width)


class Scaled(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A network between raw features and raw returns: scaling is part of the graph that is exported.

    Parameters
    ----------
    net
        Works in scaled units.
    mean, std
        Shape (k,), of the features in the TRAINING window.
    label_std
        Of the labels in the training window, a fraction. Labels are scaled, not centred.
    """

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor, label_std: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("feature_mean", mean)
        self.register_buffer("feature_std", std)
        self.register_buffer("label_std", label_std)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        scaled = ((features - self.feature_mean) / self.feature_std).clamp(-FEATURE_LIMIT, FEATURE_LIMIT)
        mean, std = self.net(scaled)
        return mean * self.label_std, std * self.label_std
