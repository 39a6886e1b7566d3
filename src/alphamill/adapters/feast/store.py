"""`FeatureStore` on Feast: Parquet offline, Redis online.

Importing Feast takes seconds, so it happens at first use. Feast declares, joins and materializes; single rows are
read and written by `FeastRedis`, in Feast's own layout, because Feast's client is too slow on the trading path.
Threads take turns where they write or look at the registry. Several processes may read and write online at once,
but only one should `apply` or `materialize`.
"""

import contextlib
import datetime as dt
import io
import runpy
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import polars as pl
import yaml

from alphamill.adapters.feast.declared import DeclaredNotes
from alphamill.adapters.feast.environment import connection_string, environment
from alphamill.adapters.feast.redis import FeastRedis, Floats, Micros
from alphamill.domain.features import FeatureSnapshot
from alphamill.environment import FEAST_REDIS, FEATURES_DIR
from alphamill.errors import InvalidConfig, NotFound, StoreUnavailable
from alphamill.features.rows import check_rows, require_declared
from alphamill.secret_url import without_secret

VIEW: Final = "daily_features"
_ONLINE_LAYOUT: Final = {"type": "redis", "entity_keys": 3}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class FeastFeatureStore:
    """Features through Feast.

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
        self._data = data_dir.resolve()
        self._redis_url = redis_url
        self._timeout_secs = timeout_secs
        self._variables = {
            FEATURES_DIR: str(self._data),
            FEAST_REDIS: connection_string(redis_url, timeout_secs),
        }
        self._declared: tuple[str, ...] = ()
        self._turn = threading.RLock()

    def apply(self) -> tuple[str, ...]:
        """Declare all features registered in this process; their names, as the online store has them.

        Raises
        ------
        InvalidConfig
            The repo's files are missing or do not run.
        StoreUnavailable
            The registry cannot be written, or Redis is gone.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        objects = self._declarations()
        with self._redis_errors():
            self._store.apply(objects)
        self._declared = self._registered()
        self._notes.write(self._declared)
        return self._declared

    def write_offline(self, rows: pl.DataFrame) -> None:
        """Replace the offline table, and declare its features if they are not yet.

        Raises
        ------
        InvalidFeatures
            A declared feature is missing or not Float64, a value is NaN or infinite, or a
            (symbol, ts) comes twice.
        """
        declared = self.apply()
        rows = check_rows(rows, declared).sort("symbol", "ts")
        scratch = self._offline.with_suffix(".tmp")
        try:
            rows.write_parquet(scratch)
            scratch.replace(self._offline)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._offline}: {error}.", field="data_dir", remedy="Check disk space and permissions."
            ) from error

    def materialize(self, *, until: dt.datetime) -> int:
        """Load each symbol's newest offline row up to `until` into Redis; rows written.

        Rows that Redis has already, as new and with the same values, are not written again.
        """
        if not self._offline.exists():
            raise NotFound(f"no offline features at {self._offline}.", remedy="Run write_offline first.")
        offline = pl.scan_parquet(self._offline).filter(pl.col("ts") <= until)
        rows = offline.group_by("symbol").agg(pl.all().sort_by("ts").last()).collect()
        count = len(self._to_write(rows).symbols)
        if not count:
            return 0
        # Feast prints progress; the one who calls has its own.
        with self._redis_errors(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self._store.materialize(_EPOCH, until, feature_views=[VIEW])
        self._notes.write(self._registered())
        # Feast leaves a row of the same instant as it is, although a corrected bar or a new
        # feature has changed its values.
        self._write(self._to_write(rows))
        return count

    def write_online(self, rows: pl.DataFrame) -> None:
        """Write rows that are newer than Redis has, or as new with other values.

        Rows without any value are left out. Not atomic between processes: of two writers at the
        same moment the later one wins.
        """
        with self._turn:
            rows = check_rows(rows, self._features())
            if rows["symbol"].n_unique() < rows.height:
                rows = rows.group_by("symbol").agg(pl.all().sort_by("ts").last())
            self._write(self._to_write(rows))

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; a symbol without a row or with a null among `features` is absent.

        Raises
        ------
        InvalidFeatures
            A name is not declared.
        StoreUnavailable
            Redis does not answer. It is asked again at the next call.
        """
        self._require(features)
        with self._redis_errors():
            online = self._redis.read(symbols, features)
        times = {micros: _EPOCH + dt.timedelta(microseconds=micros) for micros in set(online.ts.tolist())}
        known = (online.ts > 0) & ~np.isnan(online.values).any(axis=1)
        rows = zip(symbols, known.tolist(), online.ts.tolist(), online.values.tolist(), strict=True)
        return {
            symbol: FeatureSnapshot(symbol, times[micros], dict(zip(features, values, strict=True)))
            for symbol, complete, micros, values in rows
            if complete
        }

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """`entities` (symbol, ts, any others) in their order with the features as known at ts; null where unknown."""
        self._require(features)
        if not self._offline.exists():
            raise NotFound(f"no offline features at {self._offline}.", remedy="Run write_offline first.")
        asked = entities.select("symbol", pl.col("ts").alias("event_timestamp")).with_row_index("row")
        job = self._store.get_historical_features(asked.to_pandas(), [f"{VIEW}:{name}" for name in features])
        joined = pl.DataFrame(job.to_arrow()).sort("row").select(pl.col(list(features)).cast(pl.Float64))
        return pl.concat([entities, joined.fill_nan(None)], how="horizontal")

    @property
    def _offline(self) -> Path:
        return self._data / "features.parquet"

    @cached_property
    def _redis(self) -> FeastRedis:
        return FeastRedis(self._redis_url, self._config["project"], VIEW, timeout_secs=self._timeout_secs)

    @cached_property
    def _store(self) -> Any:
        from feast import FeatureStore, RepoConfig

        try:
            return FeatureStore(config=RepoConfig(repo_path=self._repo, **self._config))
        except (TypeError, ValueError) as error:
            cause = without_secret(error, self._redis_url, self._variables[FEAST_REDIS])
            raise self._bad_file(f"{cause}") from cause

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

    def _features(self) -> tuple[str, ...]:
        """Names that Feast's registry declares."""
        if not self._declared:
            self._declared = self._notes.read() or self._registered()
        return self._declared

    def _registered(self) -> tuple[str, ...]:
        """The same, from the registry itself: imports Feast."""
        from feast.errors import FeastObjectNotFoundException

        try:
            self._store.refresh_registry()
            view = self._store.get_feature_view(VIEW)
        except (FeastObjectNotFoundException, FileNotFoundError) as error:
            raise NotFound(
                f"Feast has no view {VIEW!r} in {self._data}.", field="data_dir", remedy="Run apply first."
            ) from error
        return tuple(feature.name for feature in view.features)

    @property
    def _notes(self) -> DeclaredNotes:
        return DeclaredNotes(Path(self._config["registry"]["path"]))

    def _require(self, features: Sequence[str]) -> None:
        if not self._declared or not set(features) <= set(self._declared):
            with self._turn:
                # Another process may have applied since.
                self._declared = ()
                require_declared(features, self._features())
        if not features:
            require_declared(features, self._declared)

    def _to_write(self, rows: pl.DataFrame) -> "_Rows":
        """Of one row per symbol, those that are newer than the online row, or as new but different."""
        names = self._features()
        symbols, ts = rows["symbol"].to_list(), rows["ts"].to_physical().to_numpy()
        values = np.column_stack([rows.get_column(name).to_numpy() for name in names])  # a null becomes NaN
        with self._redis_errors():
            online = self._redis.read(symbols, names)
        differs = (values != online.values) & ~(np.isnan(values) & np.isnan(online.values))
        wanted = (ts > online.ts) | ((ts == online.ts) & differs.any(axis=1))
        wanted &= ~np.isnan(values).all(axis=1)
        return _Rows([symbol for symbol, keep in zip(symbols, wanted, strict=True) if keep], ts[wanted], values[wanted])

    def _write(self, rows: "_Rows") -> None:
        if rows.symbols:
            with self._redis_errors():
                self._redis.write(rows.symbols, rows.ts, self._features(), rows.values)

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
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


class _Rows(NamedTuple):
    """One row per symbol: `ts` [n] in microseconds, `values` [n, k] in the order of the declared features."""

    symbols: list[str]
    ts: Micros
    values: Floats
