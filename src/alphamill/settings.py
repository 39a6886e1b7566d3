"""Settings: typed, frozen, read once from the environment (prefix ``ALPHAMILL_``).

`runtime` chooses who builds the parts (`alphamill.bootstrap.wiring`); within a runtime an adapter is chosen by a URL or
a kind. Nothing else asks which runtime this is.
"""

import difflib
import importlib.metadata
import importlib.resources
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from alphamill.environment import BETWEEN_PROCESSES, PREFIX, own_names
from alphamill.errors import InvalidConfig
from alphamill.extensions import load_extensions
from alphamill.secret_url import HiddenUrl, SecretUrl


def packaged(package: str, name: str = "") -> Path:
    """A file or folder that is installed with Alphamill, wherever that is."""
    found = importlib.resources.files(package)
    return Path(str(found / name if name else found))


@cache
def installed_version() -> str:
    """The version of the installed package; with ``+dev`` when it runs from a working tree, which may differ."""
    found = importlib.metadata.distribution("alphamill")
    editable = json.loads(found.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable", False)
    return f"{found.version}+dev" if editable else found.version


def _redis(url: SecretUrl) -> SecretUrl:
    if not re.match(r"rediss?://", url.get_secret_value()):
        raise ValueError("should match pattern '^redis(s)?://'")
    return url


class Settings(BaseSettings):
    """Everything that may differ between machines. Each field names its unit."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)

    runtime: Literal["embedded", "cluster"] = Field(
        default="embedded",
        description="embedded: this machine, with child processes; cluster: services of a Kubernetes cluster by their "
        "addresses, each of which must be set.",
    )
    home: Path = Field(
        default=Path(".alphamill"), description="Folder of all embedded state; safe to delete when nothing runs."
    )
    feature_repo: Path = Field(
        default_factory=lambda: packaged("feature_repo"), description="Folder with the Feast declarations."
    )
    portfolios: tuple[Path, ...] = Field(
        default_factory=lambda: (packaged("alphamill", "resources/portfolio.yaml"),),
        description="Portfolio files the trader trades; the packaged one is examples/portfolio.yaml. JSON list.",
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
    redis_url: Annotated[SecretUrl, AfterValidator(_redis)] = Field(
        default=SecretUrl("redis://127.0.0.1:16379/0"), description="Online store and event bus."
    )
    lake_uri: SecretUrl | None = Field(default=None, description="Root of the Delta tables; default: <home>/lake.")
    ledger_dsn: SecretUrl | None = Field(
        default=None, description="SQLAlchemy URL of ledger and journal; default: SQLite in <home>."
    )
    mlflow_tracking_uri: SecretUrl | None = Field(
        default=None, description="MLflow tracking and registry; default: SQLite in <home>."
    )
    model_name: str = Field(
        default="forecaster", pattern=r"^[a-z][a-z0-9-]{0,40}$", description="Registered model and inference service."
    )
    gateway_host: str = Field(default="127.0.0.1", description="Address the gateway listens on.")
    gateway_port: int = Field(default=8800, ge=1, le=65535, description="Port the gateway listens on.")
    trader_host: str = Field(default="127.0.0.1", description="Address of the trader's health and metrics.")
    trader_port: int = Field(default=8801, ge=1, le=65535, description="Port of the trader's health and metrics.")
    lease_ttl_secs: float = Field(
        default=10.0, ge=1, le=600, description="So long after a trader went silent another one may take over."
    )
    target_timeout_secs: float = Field(
        default=10.0, gt=0, le=120, description="How long an update of targets waits for the trader's decision."
    )
    namespace: str = Field(
        default="alphamill", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description="Of the cluster's services."
    )
    forecaster_url: str = Field(
        default="http://{service}-predictor.{namespace}.svc.cluster.local",
        pattern=r"^https?://[^{}]*(\{namespace\}[^{}]*)?\{service\}[^{}]*(\{namespace\}[^{}]*)?$",
        description="Where a cluster's inference service answers; {service} and {namespace} are filled in.",
    )
    forecast_timeout_secs: float = Field(
        default=5.0, gt=0, le=120, description="How long trader and gateway wait for the forecaster."
    )
    clock: Literal["system", "bars"] = Field(
        default="system",
        description="bars: time is the close of the newest bar, for replaying history; system: the wall clock.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What a process writes to its log."
    )
    code_version: str = Field(
        default_factory=installed_version,
        min_length=1,
        max_length=100,
        description="Version of the code, noted in model cards; images set it when they are built.",
    )
    notify_urls: tuple[HiddenUrl, ...] = Field(
        default=(), description="Apprise URLs that alerts go to; JSON list in the environment."
    )

    @property
    def lake(self) -> str:
        """Root of the Delta tables, secrets included: to be opened, not to be shown."""
        return self.lake_uri.get_secret_value() if self.lake_uri else str(self.home.resolve() / "lake")

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger, its password included: to be opened, not to be shown."""
        return self.ledger_dsn.get_secret_value() if self.ledger_dsn else f"sqlite:///{self.home.resolve()}/ledger.db"

    @property
    def tracking_uri(self) -> str:
        """MLflow's address, its password included: to be opened, not to be shown."""
        own = self.mlflow_tracking_uri
        return own.get_secret_value() if own else f"sqlite:///{self.home.resolve()}/mlflow.db"

    @classmethod
    def variable_names(cls) -> frozenset[str]:
        """``ALPHAMILL_<FIELD>`` of every field."""
        return frozenset(f"{PREFIX}{name}".upper() for name in cls.model_fields)

    def variables(self) -> dict[str, str]:
        """These settings as environment variables, secrets in the clear: for a child process, and for nothing else.

        Defaults are left out: they are the child's defaults too.
        """
        values = {name: getattr(self, name) for name in self.model_fields_set}
        return {f"{PREFIX}{name}".upper(): _text(value) for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps([_text(item) for item in value])
    if isinstance(value, Path):
        return str(value.resolve())
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load_settings() -> Settings:
    """Settings from the environment, with their extensions imported: every process that works begins here.

    Raises
    ------
    InvalidConfig
        Names the environment variable that is wrong, or that no setting has.
    """
    for name, remedy in unknown_variables().items():
        raise InvalidConfig(f"{name} is no setting.", field=name, remedy=remedy)
    settings = read_settings()
    load_extensions(settings.extensions)
    return settings


def unknown_variables() -> dict[str, str]:
    """Variables with our prefix that nothing reads, each with the nearest name: a setting misspelt."""
    known = Settings.variable_names() | BETWEEN_PROCESSES
    unknown = [name for name in own_names() if name.upper() not in known]
    near = {name: difflib.get_close_matches(name.upper(), sorted(known), n=1) for name in unknown}
    return {
        name: f"Did you mean {found[0]}?" if found else "docs/settings.md lists the settings; unset it."
        for name, found in near.items()
    }


def read_settings() -> Settings:
    """The same without a look at names that no setting has, and without extensions: what `alphamill doctor` needs."""
    try:
        return Settings()
    except SettingsError as error:
        found = re.search(r'field "(\w+)"', str(error))
        field = found.group(1) if found else "*"
        name = f"{PREFIX}{field.upper()}"
        remedy = 'Lists are JSON, for example ["one", "two"]; docs/settings.md has them all.'
        got = _shown(field, os.environ.get(name))
        raise InvalidConfig(f"{name} is not JSON{got}.", field=name, remedy=remedy) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        name = f"{PREFIX}{field}".upper()
        message = f"{name}: {first['msg']}{_shown(field, first['input'])}."
        raise InvalidConfig(message, field=name, remedy="See docs/settings.md.") from error


def _shown(field: str, value: object) -> str:
    """What was given, in brackets; nothing where it may be a secret, well written or not."""
    known = Settings.model_fields.get(field)
    return "" if known is None or _is_secret(known.annotation) else f" (got {value!r})"


def _is_secret(kind: Any) -> bool:
    return any(map(_is_secret, get_args(kind))) or (isinstance(kind, type) and issubclass(kind, SecretStr))
