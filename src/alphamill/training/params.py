"""What can be chosen about a model, and the space it is chosen from."""

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alphamill.errors import InvalidConfig


class ModelParams(BaseModel):
    """One configuration: a network and how it is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str = Field(default="linear", description="A registered name, see `alphamill.training.models`.")
    hidden: tuple[int, ...] = Field(
        default=(32,), description="Widths of the hidden layers; the linear model has none and ignores them."
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of hidden units silenced per training step.")
    learning_rate: float = Field(
        default=3e-3, gt=0, le=1, description="First step size of AdamW; it falls linearly to 0."
    )
    weight_decay: float = Field(default=1e-4, ge=0, le=10, description="Decoupled weight decay of AdamW.")
    epochs: int = Field(default=12, ge=1, le=1000, description="Passes over the training rows, at most.")
    batch_size: int = Field(default=512, ge=1, description="Rows per gradient step.")
    patience_epochs: int | None = Field(
        default=None,
        ge=1,
        description="Stop after so many epochs without a better loss on the last sessions of the training window, "
        "and keep the best weights; None trains all epochs on all rows.",
    )

    @model_validator(mode="after")
    def _layers(self) -> "ModelParams":
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden widths must be positive, got {self.hidden}")
        return self


class ParamSpace(BaseModel):
    """Where tuning looks. Lists are drawn from uniformly; (low, high) ranges uniformly or log-uniformly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: tuple[str, ...] = Field(default=("linear", "mlp"), min_length=1)
    hidden: tuple[tuple[int, ...], ...] = Field(default=((16,), (32,), (32, 16)), min_length=1)
    dropout: tuple[float, float] = Field(default=(0.0, 0.3), description="Uniform.")
    learning_rate: tuple[float, float] = Field(default=(5e-4, 1e-2), description="Log-uniform.")
    weight_decay: tuple[float, float] = Field(default=(1e-5, 1e-1), description="Log-uniform.")
    epochs: tuple[int, ...] = Field(default=(8, 16), min_length=1)
    batch_size: tuple[int, ...] = Field(default=(256, 512), min_length=1)
    patience_epochs: int | None = Field(default=None, ge=1, description="The same for every trial.")

    @model_validator(mode="after")
    def _ranges(self) -> "ParamSpace":
        for name in ("dropout", "learning_rate", "weight_decay"):
            low, high = getattr(self, name)
            if low > high or (name != "dropout" and low <= 0):
                raise ValueError(f"{name} needs {'0 <' if name != 'dropout' else ''} low <= high, got {(low, high)}")
        return self

    def sample(self, n: int, seed: int) -> list[ModelParams]:
        """`n` configurations; the same seed gives the same ones, and the first n of any longer list."""
        rng = np.random.default_rng(seed)
        return [self._draw(rng) for _ in range(n)]

    def _draw(self, rng: np.random.Generator) -> ModelParams:
        return parse_params(
            {
                "architecture": _one_of(rng, self.architecture),
                "hidden": _one_of(rng, self.hidden),
                "dropout": float(rng.uniform(*self.dropout)),
                "learning_rate": float(np.exp(rng.uniform(*np.log(self.learning_rate)))),
                "weight_decay": float(np.exp(rng.uniform(*np.log(self.weight_decay)))),
                "epochs": _one_of(rng, self.epochs),
                "batch_size": _one_of(rng, self.batch_size),
                "patience_epochs": self.patience_epochs,
            }
        )


def _one_of(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def parse_params(values: dict[str, Any]) -> ModelParams:
    """Model parameters from plain values, e.g. of a model card.

    Raises
    ------
    InvalidConfig
        Names the parameter that is wrong.
    """
    try:
        return ModelParams.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "params"
        raise InvalidConfig(f"{where}: {first['msg']} (got {first['input']!r}).", field=where) from error
