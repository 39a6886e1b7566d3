"""The Feast repository that both sides of the feature store stand on: what is declared, and where it lies.

Importing Feast takes seconds, so it happens at first use. Threads take turns where they write or look at the registry.
"""

import contextlib
import runpy
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from alphamill.adapters.feast.declared import DeclaredNotes
from alphamill.adapters.feast.environment import connection_string, environment
from alphamill.adapters.feast.redis import FeastRedis
from alphamill.environment import FEAST_REDIS, FEATURES_DIR
from alphamill.errors import InvalidConfig, NotFound, StoreUnavailable
from alphamill.features.rows import require_declared
from alphamill.secret_url import without_secret

VIEW: Final = "daily_features"
_ONLINE_LAYOUT: Final = {"type": "redis", "entity_keys": 3}


class FeastRepo:
    """Declarations, registry and Redis of one feature store; several processes may open the same.

    Parameters
    ----------
    repo_path
        Folder with feature_store.yaml and definitions.py.
    data_dir
        Holds Feast's registry and the offline table; created when first written.
    redis_url
        ``redis://[user:password@]host:port/db``; ``rediss`` for TLS.
    timeout_secs
        Limit for connecting to Redis and for each answer.
    """

    def __init__(self, repo_path: Path, data_dir: Path, redis_url: str, *, timeout_secs: float = 2.0) -> None:
        self._repo = repo_path.resolve()
        self.data_dir = data_dir.resolve()
        self._redis_url = redis_url
        self._timeout_secs = timeout_secs
        self._variables = {
            FEATURES_DIR: str(self.data_dir),
            FEAST_REDIS: connection_string(redis_url, timeout_secs),
        }
        self._declared: tuple[str, ...] = ()
        #: Held by a thread that writes online or reads the registry.
        self.turn = threading.RLock()

    def apply(self) -> tuple[str, ...]:
        """Declare all features registered in this process; their names, as the online store has them.

        Raises
        ------
        InvalidConfig
            The repo's files are missing or do not run.
        StoreUnavailable
            The registry cannot be written, or Redis is gone.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        objects = self._declarations()
        with self.redis_errors():
            self.store.apply(objects)
        self._declared = self._registered()
        self._notes.write(self._declared)
        return self._declared

    @property
    def offline_file(self) -> Path:
        """The offline table, Parquet; a replacement is moved into its place whole."""
        return self.data_dir / "features.parquet"

    @cached_property
    def redis(self) -> FeastRedis:
        return FeastRedis(self._redis_url, self._config["project"], VIEW, timeout_secs=self._timeout_secs)

    @cached_property
    def store(self) -> Any:
        from feast import FeatureStore, RepoConfig

        try:
            return FeatureStore(config=RepoConfig(repo_path=self._repo, **self._config))
        except (TypeError, ValueError) as error:
            cause = without_secret(error, self._redis_url, self._variables[FEAST_REDIS])
            raise self._bad_file(f"{cause}") from cause

    def features(self) -> tuple[str, ...]:
        """Names that Feast's registry declares; `NotFound` before the first `apply`."""
        if not self._declared:
            self._declared = self._notes.read() or self._registered()
        return self._declared

    def note_registry(self) -> None:
        """Feast has written its registry: note again what it declares, so that no reader must import Feast."""
        self._notes.write(self._registered())

    def require(self, features: Sequence[str]) -> None:
        """`InvalidFeatures` if none is asked for, or one that is not declared, also not since it was last looked at."""
        if not self._declared or not set(features) <= set(self._declared):
            with self.turn:
                # Another process may have applied since.
                self._declared = ()
                require_declared(features, self.features())
        if not features:
            require_declared(features, self._declared)

    @contextlib.contextmanager
    def redis_errors(self) -> Iterator[None]:
        """Redis that does not answer becomes `StoreUnavailable`."""
        from redis.exceptions import RedisError

        try:
            yield
        except RedisError as error:
            parts = urlsplit(self._redis_url)
            raise StoreUnavailable(
                f"Redis at {parts.hostname}:{parts.port or 6379} does not answer: {error}.",
                field="redis_url",
                remedy="Start it, or mend ALPHAMILL_REDIS_URL; `alphamill doctor` checks it.",
            ) from error

    @cached_property
    def _config(self) -> dict[str, Any]:
        """What feature_store.yaml says; raises `InvalidConfig` for an online layout that `FeastRedis` does not have."""
        try:
            text = (self._repo / "feature_store.yaml").read_text()
            config: dict[str, Any] = yaml.safe_load(Template(text).substitute(self._variables))
            asked = {**config["online_store"], "entity_keys": config["entity_key_serialization_version"]}
            config["project"], config["registry"]["path"]
        except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            cause = without_secret(error, self._redis_url, self._variables[FEAST_REDIS])
            raise self._bad_file(f"{type(error).__name__} {cause}") from cause
        asked.pop("connection_string", None)
        if asked != _ONLINE_LAYOUT:
            raise self._bad_file(f"online_store and entity keys are {asked}, supported are {_ONLINE_LAYOUT}")
        return config

    def _bad_file(self, why: str) -> InvalidConfig:
        return InvalidConfig(
            f"{self._repo / 'feature_store.yaml'}: {why}.",
            field="feature_repo",
            remedy="Point ALPHAMILL_FEATURE_REPO at the Feast repo, or mend its file.",
        )

    def _declarations(self) -> list[Any]:
        from feast import Entity, FeatureService, FeatureView

        file = self._repo / "definitions.py"
        # definitions.py reads the environment, so that Feast's own command line can run it too.
        with environment(self._variables):
            try:
                names = runpy.run_path(str(file))
            except Exception as error:
                raise InvalidConfig(f"{file}: {error!r}.", field="feature_repo", remedy="Mend the file.") from error
        return [value for value in names.values() if isinstance(value, Entity | FeatureService | FeatureView)]

    def _registered(self) -> tuple[str, ...]:
        """What the registry itself says; reading it imports Feast."""
        from feast.errors import FeastObjectNotFoundException

        try:
            self.store.refresh_registry()
            view = self.store.get_feature_view(VIEW)
        except (FeastObjectNotFoundException, FileNotFoundError) as error:
            raise NotFound(
                f"Feast has no view {VIEW!r} in {self.data_dir}.", field="data_dir", remedy="Run apply first."
            ) from error
        return tuple(feature.name for feature in view.features)

    @property
    def _notes(self) -> DeclaredNotes:
        return DeclaredNotes(Path(self._config["registry"]["path"]))
