"""Settings: typed, frozen, read once from the environment (prefix ``ALPHAMILL_``).

An adapter is chosen by a URL or a kind here, never by asking which runtime this is.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from alphamill.errors import InvalidConfig
from alphamill.extensions import load_extensions

REPO_ROOT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """Everything that may differ between machines. Each field names its unit."""

    model_config = SettingsConfigDict(env_prefix="ALPHAMILL_", frozen=True, extra="forbid")

    home: Path = Field(
        default=Path(".alphamill"), description="Folder of all embedded state; safe to delete when nothing runs."
    )
    feature_repo: Path = Field(default=REPO_ROOT / "feature_repo", description="Folder with the Feast declarations.")
    portfolios: tuple[Path, ...] = Field(
        default=(REPO_ROOT / "examples" / "portfolio.yaml",),
        description="Portfolio files the controller trades; JSON list in the environment.",
    )
    extensions: tuple[str, ...] = Field(
        default=(),
        description="Modules or .py files of your own that register features, architectures or risk rules; "
        "JSON list in the environment.",
    )
    model_features: tuple[str, ...] | None = Field(
        default=None, description="Features the model sees, in order; default: the shipped scale-free ones. JSON list."
    )
    architectures: tuple[str, ...] = Field(
        default=("linear", "mlp"), min_length=1, description="Networks that the search tries; JSON list."
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:16379/0", pattern=r"^redis(s)?://", description="Online store and event bus."
    )
    lake_uri: str | None = Field(default=None, description="Root of the Delta tables; default: <home>/lake.")
    ledger_dsn: str | None = Field(
        default=None, description="SQLAlchemy URL of ledger and journal; default: SQLite in <home>."
    )
    mlflow_tracking_uri: str | None = Field(
        default=None, description="MLflow tracking and registry; default: SQLite in <home>."
    )
    model_name: str = Field(
        default="forecaster", pattern=r"^[a-z][a-z0-9-]{0,40}$", description="Registered model and inference service."
    )
    controller_host: str = Field(default="127.0.0.1", description="Address the controller listens on.")
    controller_port: int = Field(default=8800, ge=1, le=65535, description="Port the controller listens on.")
    forecast_timeout_secs: float = Field(
        default=5.0, gt=0, le=120, description="How long the controller waits for the forecaster."
    )
    clock: Literal["system", "bars"] = Field(
        default="system",
        description="bars: time is the close of the newest bar, for replaying history; system: the wall clock.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What the controller writes to its log."
    )
    notify_urls: tuple[str, ...] = Field(
        default=(), description="Apprise URLs that alerts go to; JSON list in the environment."
    )

    @cached_property
    def lake(self) -> str:
        return self.lake_uri or str(self.home.resolve() / "lake")

    @cached_property
    def ledger_url(self) -> str:
        return self.ledger_dsn or f"sqlite:///{self.home.resolve() / 'ledger.db'}"

    @cached_property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"


def load_settings() -> Settings:
    """Settings from the environment, with their extensions imported: every process that works begins here.

    Raises
    ------
    InvalidConfig
        Names the environment variable that is wrong.
    """
    try:
        settings = Settings()
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        name = f"ALPHAMILL_{found.group(1).upper()}" if found else "ALPHAMILL_*"
        remedy = 'Lists are JSON, for example ["one", "two"]; docs/settings.md has them all.'
        raise InvalidConfig(f"{name} is not JSON (got {os.environ.get(name)!r}).", field=name, remedy=remedy) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = "ALPHAMILL_" + "_".join(str(part) for part in first["loc"][:1]).upper()
        raise InvalidConfig(
            f"{name}: {first['msg']} (got {first['input']!r}).", field=name, remedy="See docs/settings.md."
        ) from error
    load_extensions(settings.extensions)
    return settings
