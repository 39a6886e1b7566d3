"""`FeatureStore` on Feast: Parquet offline, Redis online.

Importing Feast takes seconds, so it happens at first use. Threads take turns online: Feast's client keeps
state between calls, and the controller reads for a decision and for its readiness at once. Several
processes may read and write online at once, but only one should `apply` or `materialize`.
"""

import contextlib
import datetime as dt
import io
import math
import runpy
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import urlsplit

import polars as pl
import yaml

from alphamill.adapters.feast_environment import connection_string, environment
from alphamill.adapters.feature_rows import check_rows, require_declared
from alphamill.domain.features import FEATURE_KEY, FeatureSnapshot
from alphamill.errors import InvalidConfig, NotFound, StoreUnavailable

VIEW: Final = "daily_features"
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
        self._variables = {
            "ALPHAMILL_FEATURES_DIR": str(self._data),
            "ALPHAMILL_REDIS": connection_string(redis_url, timeout_secs),
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
        self._declared = ()
        return self._features()

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
        rows = self._to_write(rows)
        if rows.is_empty():
            return 0
        # Feast prints progress; the one who calls has its own.
        with self._redis_errors(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self._store.materialize(_EPOCH, until, feature_views=[VIEW])
        # Feast leaves a row of the same instant as it is, although a corrected bar or a new
        # feature has changed its values.
        self._write(self._to_write(rows))
        return rows.height

    def write_online(self, rows: pl.DataFrame) -> None:
        """Write rows that are newer than Redis has, or as new with other values.

        Rows without any value are left out. Not atomic between processes: of two writers at the
        same moment the later one wins.
        """
        with self._turn:
            rows = check_rows(rows, self._features())
            self._write(self._to_write(rows.group_by("symbol").agg(pl.all().sort_by("ts").last())))

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol; a symbol without a row or with a null among `features` is absent.

        Raises
        ------
        InvalidFeatures
            A name is not declared.
        StoreUnavailable
            Redis does not answer. It is asked again at the next call.
        """
        with self._turn:
            rows = self._read(symbols, features)
        snapshots = {}
        for symbol, (ts, values) in rows.items():
            if all(value is not None for value in values.values()):
                snapshots[symbol] = FeatureSnapshot(symbol, ts, values)  # type: ignore[arg-type]
        return snapshots

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
    def _store(self) -> Any:
        return self._feast_store({})

    @cached_property
    def _overwriting_store(self) -> Any:
        """Writes without Feast's check of timestamps: `_to_write` has made a finer one."""
        return self._feast_store({"skip_dedup": True})

    def _feast_store(self, online: dict[str, Any]) -> Any:
        from feast import FeatureStore, RepoConfig

        file = self._repo / "feature_store.yaml"
        try:
            config = yaml.safe_load(Template(file.read_text()).substitute(self._variables))
            config["online_store"].update(online)
            return FeatureStore(config=RepoConfig(repo_path=self._repo, **config))
        except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise InvalidConfig(
                f"{file}: {error}.", field="feature_repo", remedy="Point ALPHAMILL_FEATURE_REPO at the Feast repo."
            ) from error

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
        from feast.errors import FeastObjectNotFoundException

        if not self._declared:
            try:
                view = self._store.get_feature_view(VIEW)
            except (FeastObjectNotFoundException, FileNotFoundError) as error:
                raise NotFound(
                    f"Feast has no view {VIEW!r} in {self._data}.", field="data_dir", remedy="Run apply first."
                ) from error
            self._declared = tuple(feature.name for feature in view.features)
        return self._declared

    def _require(self, features: Sequence[str]) -> None:
        if not set(features) <= set(self._features()):
            # Another process may have applied since.
            self._store.refresh_registry()
            self._declared = ()
        require_declared(features, self._features())

    def _read(
        self, symbols: Sequence[str], features: Sequence[str]
    ) -> dict[str, tuple[dt.datetime, dict[str, float | None]]]:
        """Rows that Redis has, nulls included."""
        self._require(features)
        if not symbols:
            return {}
        with self._redis_errors():
            answer = self._store.get_online_features(
                features=[f"{VIEW}:{name}" for name in features],
                entity_rows=[{"symbol": symbol} for symbol in symbols],
            ).proto
        # Feast answers in an order of its own: go by name.
        columns = dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))
        times = columns[features[0]].event_timestamps
        rows: dict[str, tuple[dt.datetime, dict[str, float | None]]] = {}
        for i, symbol in enumerate(symbols):
            # A missing entity is answered as present, with time zero.
            if micros := times[i].seconds * 1_000_000 + times[i].nanos // 1_000:
                values = {name: _value(columns[name].values[i]) for name in features}
                rows[symbol] = (_EPOCH + dt.timedelta(microseconds=micros), values)
        return rows

    def _to_write(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Of one row per symbol, those that are newer than the online row, or as new but different."""
        names = self._features()
        rows = rows.select(*FEATURE_KEY, *names).filter(~pl.all_horizontal(pl.col(names).is_null()))
        online = self._read(rows["symbol"].to_list(), names)
        keep = []
        for row in rows.iter_rows(named=True):
            ts, values = online.get(row["symbol"], (_EPOCH, {}))
            keep.append(row["ts"] > ts or (row["ts"] == ts and any(row[name] != values[name] for name in names)))
        return rows.filter(pl.Series(keep, dtype=pl.Boolean))

    def _write(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        with self._redis_errors():
            self._overwriting_store.write_to_online_store(VIEW, rows.to_pandas())

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


def _value(proto: Any) -> float | None:
    if proto.WhichOneof("val") is None or math.isnan(proto.double_val):
        return None
    return float(proto.double_val)
