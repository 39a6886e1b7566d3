"""A registered model: what it was trained on, how it was judged, and where its files lie."""

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ModelCard(BaseModel):
    """Everything a person or the deploy step must know about one trained model."""

    model_config = ConfigDict(frozen=True)

    name: str
    architecture: str = Field(description="Registered name of the network, e.g. 'linear' or 'mlp'.")
    features: tuple[str, ...] = Field(description="Input features, in the order of the graph's columns.")
    horizon_bars: int = Field(gt=0)
    data_version: str = Field(description="Version of the bars table the training rows came from.")
    trained_from: dt.date
    trained_until: dt.date = Field(description="Last session whose label was used.")
    trials: int = Field(ge=1, description="True number of configurations tried before this one won.")
    params: dict[str, Any]
    metrics: dict[str, float] = Field(default_factory=dict)
    run_id: str = ""
    git_commit: str = "unknown"
    approved_for: str = Field(default="none", description="What the gate allows: none, paper or live.")

    @property
    def seed(self) -> int:
        """Of its training: the same configuration with another seed is another model."""
        return int(self.params.get("seed", 0))

    @property
    def configuration(self) -> dict[str, Any]:
        """`params` without the seed: what `alphamill.training.parse_params` reads."""
        return {name: value for name, value in self.params.items() if name != "seed"}


class ModelVersion(BaseModel):
    """One version in the registry. `id` is '<name>-<version>', as the API shows it."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    source_uri: str
    card: ModelCard
    updated_at: dt.datetime

    @property
    def id(self) -> str:
        return f"{self.name}-{self.version}"


class Deployment(BaseModel):
    """A running forecaster: which version answers under which URL."""

    model_config = ConfigDict(frozen=True)

    service: str
    model_id: str
    url: str
    status: str
    updated_at: dt.datetime
