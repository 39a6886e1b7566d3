"""Step 1: a feed's raw bars land, normalised, unchecked."""

import datetime as dt

import polars as pl

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.ingestion import normalise
from alphamill.ports import Clock, Lake
from alphamill.settings import Settings
from alphamill.steps.step import begin, finish

#: The table of what came in, before validation.
LANDING = "landing"


def ingest_bars(feed: str, until: str = "", *, settings: Settings | None = None, clock: Clock | None = None) -> int:
    """Land all bars of `feed` up to the session `until` (ISO date; empty: all).

    Returns
    -------
    Version of the landing table. Landing the same bars again keeps the version.
    """
    parts = begin("ingest", f"reading {feed}", settings)
    source = parts.feed(feed)
    raw = source.read(until=_session(until) if until else None)
    if raw.is_empty():
        raise DataUnfit(f"the feed {feed!r} has no bars.", field="feed", remedy="Check the folder and the dates.")
    calendar = parts.portfolios()[0].universe.calendar
    now = (clock or parts.clock()).now()
    bars = normalise(raw, source=source.source, calendar=calendar, ingested_at=now)
    version = _land(parts.lake(), bars.sort("symbol", "ts"))
    finish(parts, "ingest", f"{bars.height:,} bars of {bars['symbol'].n_unique()} symbols")
    return version


def _session(until: str) -> dt.date:
    try:
        return dt.date.fromisoformat(until)
    except ValueError as error:
        raise InvalidInput(
            f"{until!r} is no date: {error}.", field="until", remedy="Write it as YYYY-MM-DD."
        ) from error


def _land(lake: Lake, bars: pl.DataFrame) -> int:
    """Replace what landed last; older batches stay readable as older versions."""
    newest = lake.version(LANDING)
    if newest >= 0:
        landed = lake.read(LANDING, newest).sort("symbol", "ts")
        if landed.drop("ingested_at").equals(bars.drop("ingested_at")):
            return newest
    return lake.write(LANDING, bars)
