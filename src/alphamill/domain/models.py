"""A registered model: what it was trained on, how it was judged, and where its files lie."""

import datetime as dt
import re
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alphamill.domain.approval import Approval
from alphamill.errors import InvalidConfig

MODEL_NAME: Final = r"^[a-z][a-z0-9-]{0,40}$"
ALIAS: Final = r"^[a-z][a-z0-9_-]{0,62}$"

#: Names that would be read as a version.
_RESERVED: Final = r"^(v\d+|latest)$"


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
    code_version: str = Field(default="unknown", description="Version of Alphamill that trained it.")
    approved_for: Approval = Field(default="none", description="What the gate allows: none, paper or live.")

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_card(cls, data: Any) -> Any:
        """Cards written before images carried a version have the commit instead."""
        if isinstance(data, dict) and "git_commit" in data:
            known = {name: value for name, value in data.items() if name != "git_commit"}
            return {"code_version": data["git_commit"], **known}
        return data

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


def check_model_name(name: str) -> None:
    """`InvalidConfig` unless `name` can name a model, a folder and an inference service."""
    if not re.fullmatch(MODEL_NAME, name):
        raise InvalidConfig(
            f"{name!r} cannot name a model.",
            field="name",
            remedy="Use lower-case letters, digits and '-', starting with a letter, at most 41.",
        )


def check_alias(alias: str) -> None:
    """`InvalidConfig` unless `alias` can name a version and is not read as one."""
    if not re.fullmatch(ALIAS, alias) or re.fullmatch(_RESERVED, alias):
        raise InvalidConfig(
            f"{alias!r} cannot be an alias.",
            field="alias",
            remedy="Use a word in lower case such as champion; not latest, not v1.",
        )
