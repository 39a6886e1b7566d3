"""`BarJournal` on a relational database: a bar is on the disk before it is acknowledged."""

from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, Select, bindparam, delete, insert, select, text, update

from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.schema import ensure_schema
from alphamill.adapters.sql.tables import bar_journal as journal
from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, check_bars, empty_bars
from alphamill.errors import InvalidInput

_COLUMNS = [journal.c[name] for name in BAR_SCHEMA]
_SEQ = {"seq": pl.Int64()}
_IS_PENDING = text("NOT merged")  # spelled as the partial index spells it
_PENDING: Select[Any] = select(journal.c.seq, *_COLUMNS).where(_IS_PENDING).order_by(journal.c.seq)
_MERGED_AFTER: Select[Any] = (
    select(journal.c.seq, journal.c.symbol, journal.c.ts)
    .where(journal.c.merged, journal.c.seq > bindparam("first_seq"))
    .order_by(journal.c.seq)
)
_REOPEN = update(journal).where(journal.c.seq == bindparam("reopened")).values(merged=False)
_MARK = (
    update(journal)
    .where(journal.c.seq.between(bindparam("first_seq"), bindparam("last_seq")), _IS_PENDING)
    .values(merged=True)
)


class SqlBarJournal:
    """Durable landing of accepted bars. Every write is kept until it is merged and pruned.

    Parameters
    ----------
    url
        SQLAlchemy URL, the ledger's as a rule. A SQLite file and its folder are made when missing.

    Raises
    ------
    StoreUnavailable
        From every method: the database is locked, full, damaged or gone.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        ensure_schema(self._database)
        # What was pending last, all writes and the newest ones: they are marked without reading them again.
        self._seen = pl.DataFrame(schema={**_SEQ, **BAR_SCHEMA})
        self._newest = empty_bars()

    def close(self) -> None:
        self._database.close()

    def append(self, bars: pl.DataFrame) -> None:
        """Write bars of `BAR_SCHEMA` in one commit; `InvalidBar` for other columns, nulls or values not finite."""
        check_bars(bars)
        if bars.is_empty():
            return
        rows = bars.select(BAR_SCHEMA.names()).with_columns(merged=pl.lit(False)).to_dicts()
        with self._database.write() as connection:
            connection.execute(insert(journal), rows)

    def pending(self) -> pl.DataFrame:
        """Bars not yet merged, `BAR_SCHEMA`, newest write per key, sorted by (ts, symbol)."""
        with self._database.read() as connection:
            rows = _pending(connection)
        newest = _newest(rows)
        self._seen, self._newest = rows, newest
        return newest

    def mark_merged(self, bars: pl.DataFrame) -> None:
        """Mark these very bars and what they replaced; a correction written since stays pending.

        One that another process has merged since is pending again: these bars may stand over it in the table now.
        """
        check_bars(bars)
        seen, newest = self._seen, self._newest
        written = _runs(seen["seq"]) if bars.equals(newest) else _written(seen, bars)
        # A mark that is lost merges the bar again, which changes nothing.
        with self._database.write(may_be_lost=True) as connection:
            if written is None:
                seen = _pending(connection)
                written = _written(seen, bars, known=True)
            if written:
                overtaken = _overtaken(connection, seen, bars, min(run["first_seq"] for run in written))
                connection.execute(_MARK, written)
                if overtaken:
                    connection.execute(_REOPEN, overtaken)

    def prune(self, keep_sessions: int) -> int:
        """Delete merged bars of all but the newest `keep_sessions` sessions; returns the rows deleted."""
        if keep_sessions < 0:
            raise InvalidInput(f"keep_sessions is {keep_sessions}.", field="keep_sessions", remedy="Pass 0 or more.")
        sessions = select(journal.c.session).distinct().order_by(journal.c.session.desc())
        with self._database.write() as connection:
            newest = connection.execute(sessions.limit(keep_sessions)).scalars().all()
            stale = journal.c.merged & (journal.c.session < min(newest)) if newest else journal.c.merged
            return connection.execute(delete(journal).where(stale)).rowcount


def _pending(connection: Connection) -> pl.DataFrame:
    rows = connection.execute(_PENDING).all()
    return pl.DataFrame([tuple(row) for row in rows], schema={**_SEQ, **BAR_SCHEMA}, orient="row")


def _newest(pending: pl.DataFrame) -> pl.DataFrame:
    """The newest write per key, sorted by (ts, symbol)."""
    keys = pending.select("ts", "symbol").rows()
    if all(before < after for before, after in pairwise(keys)):  # as a session that arrived at once
        return pending.drop("seq")
    return pending.lazy().unique(BAR_KEY, keep="last", maintain_order=True).drop("seq").sort("ts", "symbol").collect()


def _written(pending: pl.DataFrame, bars: pl.DataFrame, *, known: bool = False) -> list[dict[str, int]] | None:
    """Numbers of the rows that are these bars or were replaced by them, as ranges.

    None when `pending` lacks one of the bars, unless it is `known` to be all there is.
    """
    found = _numbers(pending, bars)
    if found.height < bars.height and not known:
        return None
    return _runs(pending.join(found, on=BAR_KEY).filter(pl.col("seq") <= pl.col("up_to"))["seq"])


def _numbers(pending: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """The number ``up_to`` under which each of these bars was written last."""
    columns = BAR_SCHEMA.names()
    same = pending.join(bars.select(columns), on=columns, how="semi")
    return same.group_by(BAR_KEY).agg(up_to=pl.col("seq").max())


def _overtaken(connection: Connection, seen: pl.DataFrame, bars: pl.DataFrame, first_seq: int) -> list[dict[str, int]]:
    """Numbers of writes that are merged already and newer than what these bars were written under."""
    merged = connection.execute(_MERGED_AFTER, {"first_seq": first_seq}).all()
    if not merged:
        return []
    keys = {name: BAR_SCHEMA[name] for name in BAR_KEY}
    others = pl.DataFrame([tuple(row) for row in merged], schema={**_SEQ, **keys}, orient="row")
    newer = others.join(_numbers(seen, bars), on=BAR_KEY).filter(pl.col("seq") > pl.col("up_to"))
    return [{"reopened": seq} for seq in newer.group_by(BAR_KEY).agg(pl.col("seq").max())["seq"]]


def _runs(seqs: pl.Series) -> list[dict[str, int]]:
    """Row numbers as ranges without a gap."""
    numbers = np.sort(seqs.to_numpy())
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1) if numbers.size else []
    return [{"first_seq": int(run[0]), "last_seq": int(run[-1])} for run in runs]
