"""A bar journal in memory."""

import polars as pl

from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, check_bars
from alphamill.errors import InvalidInput


class InMemoryBarJournal:
    """Behaves as `SqlBarJournal` and forgets everything when the process ends."""

    def __init__(self) -> None:
        self._rows = pl.DataFrame(schema={**BAR_SCHEMA, "seq": pl.Int64, "merged": pl.Boolean})
        self._written = 0
        self._pending: pl.DataFrame | None = None

    def append(self, bars: pl.DataFrame) -> None:
        check_bars(bars)
        rows = bars.select(BAR_SCHEMA.names()).with_columns(
            seq=pl.int_range(self._written, self._written + bars.height, dtype=pl.Int64), merged=pl.lit(False)
        )
        self._written += bars.height
        self._rows, self._pending = self._rows.vstack(rows), None

    def pending(self) -> pl.DataFrame:
        if self._pending is None:
            waiting = self._rows.filter(~pl.col("merged")).unique(BAR_KEY, keep="last", maintain_order=True)
            self._pending = waiting.select(BAR_SCHEMA.names()).sort("ts", "symbol")
        return self._pending

    def mark_merged(self, bars: pl.DataFrame) -> None:
        check_bars(bars)
        done = (
            self._rows.join(bars.select(BAR_SCHEMA.names()), on=BAR_SCHEMA.names(), how="semi")
            .group_by(BAR_KEY)
            .agg(up_to=pl.col("seq").max())
        )
        self._pending = None
        known = self._rows.join(done, on=BAR_KEY, how="left", maintain_order="left")
        newest = pl.col("seq") == pl.col("seq").max().over(BAR_KEY)
        overtaken = (newest & (pl.col("seq") > pl.col("up_to"))).fill_null(False)
        covered = (pl.col("seq") <= pl.col("up_to")).fill_null(False)
        self._rows = known.with_columns(merged=(pl.col("merged") | covered) & ~overtaken).drop("up_to")

    def prune(self, keep_sessions: int) -> int:
        """Drop merged bars of all but the newest `keep_sessions` sessions; returns the rows dropped."""
        if keep_sessions < 0:
            raise InvalidInput(f"keep_sessions is {keep_sessions}.", field="keep_sessions", remedy="Pass 0 or more.")
        newest = self._rows["session"].unique().sort(descending=True).head(keep_sessions)
        kept = self._rows.filter(~pl.col("merged") | pl.col("session").is_in(newest.implode()))
        dropped = self._rows.height - kept.height
        self._rows = kept
        return dropped
