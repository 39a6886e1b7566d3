"""`OfflineFeatures` on Feast: Parquet, joined point in time and materialized by Feast itself.

Several processes may read; only one should write or materialize.
"""

import contextlib
import datetime as dt
import io
from collections.abc import Sequence
from typing import Final

import polars as pl

from alphamill.adapters.feast.online_features import FeastOnlineFeatures
from alphamill.adapters.feast.repo import VIEW, FeastRepo
from alphamill.errors import NotFound, StoreUnavailable
from alphamill.features.rows import check_rows

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class FeastOfflineFeatures:
    """All rows of all features, and the way of the newest ones into the online store."""

    def __init__(self, repo: FeastRepo) -> None:
        self._repo = repo
        self._online = FeastOnlineFeatures(repo)

    def write(self, rows: pl.DataFrame) -> None:
        """Replace the offline table, and declare its features if they are not yet.

        Raises
        ------
        InvalidFeatures
            A declared feature is missing or not Float64, a value is NaN or infinite, or a
            (symbol, ts) comes twice.
        """
        declared = self._repo.apply()
        rows = check_rows(rows, declared).sort("symbol", "ts")
        scratch = self._repo.offline_file.with_suffix(".tmp")
        try:
            rows.write_parquet(scratch)
            scratch.replace(self._repo.offline_file)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._repo.offline_file}: {error}.",
                field="data_dir",
                remedy="Check disk space and permissions.",
            ) from error

    def materialize(self, *, until: dt.datetime) -> int:
        """Load each symbol's newest offline row up to `until` into Redis; rows written.

        Rows that Redis has already, as new and with the same values, are not written again.
        """
        if not self._repo.offline_file.exists():
            raise NotFound(f"no offline features at {self._repo.offline_file}.", remedy="Write offline features first.")
        offline = pl.scan_parquet(self._repo.offline_file).filter(pl.col("ts") <= until)
        rows = offline.group_by("symbol").agg(pl.all().sort_by("ts").last()).collect()
        count = len(self._online.newer(rows).symbols)
        if not count:
            return 0
        # Feast prints progress; the one who calls has its own.
        with (
            self._repo.redis_errors(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            self._repo.store.materialize(_EPOCH, until, feature_views=[VIEW])
        self._repo.note_registry()
        # Feast leaves a row of the same instant as it is, although a corrected bar or a new
        # feature has changed its values.
        self._online.put(self._online.newer(rows))
        return count

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """`entities` (symbol, ts, any others) in their order with the features as known at ts; null where unknown."""
        self._repo.require(features)
        if not self._repo.offline_file.exists():
            raise NotFound(f"no offline features at {self._repo.offline_file}.", remedy="Write offline features first.")
        asked = entities.select("symbol", pl.col("ts").alias("event_timestamp")).with_row_index("row")
        job = self._repo.store.get_historical_features(asked.to_pandas(), [f"{VIEW}:{name}" for name in features])
        joined = pl.DataFrame(job.to_arrow()).sort("row").select(pl.col(list(features)).cast(pl.Float64))
        return pl.concat([entities, joined.fill_nan(None)], how="horizontal")
