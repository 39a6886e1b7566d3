"""Step 1: a feed's raw bars land, normalised, unchecked."""

import datetime as dt

import polars as pl

from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.delta.tables import write_frame
from alphamill.bootstrap import bar_store, market_feed, portfolios, table_uri
from alphamill.errors import DataUnfit, InvalidInput
from alphamill.ingestion import normalise
from alphamill.ports import Clock
from alphamill.settings import Settings
from alphamill.steps.step import begin, finish


def ingest_bars(feed: str, until: str = "", *, settings: Settings | None = None, clock: Clock = SYSTEM_CLOCK) -> int:
    """Land all bars of `feed` up to the session `until` (ISO date; empty: all).

    Returns
    -------
    Version of the landing table. Landing the same bars again keeps the version.
    """
    settings = begin("ingest", f"reading {feed}", settings)
    source = market_feed(feed)
    raw = source.read(until=_session(until) if until else None)
    if raw.is_empty():
        raise DataUnfit(f"the feed {feed!r} has no bars.", field="feed", remedy="Check the folder and the dates.")
    calendar = portfolios(settings)[0].universe.calendar
    bars = normalise(raw, source=source.source, calendar=calendar, ingested_at=clock.now())
    version = _land(settings, bars.sort("symbol", "ts"))
    finish("ingest", f"{bars.height:,} bars of {bars['symbol'].n_unique()} symbols")
    return version


def _session(until: str) -> dt.date:
    try:
        return dt.date.fromisoformat(until)
    except ValueError as error:
        raise InvalidInput(
            f"{until!r} is no date: {error}.", field="until", remedy="Write it as YYYY-MM-DD."
        ) from error


def _land(settings: Settings, bars: pl.DataFrame) -> int:
    """Replace what landed last; older batches stay readable as older versions."""
    uri = table_uri(settings, "landing")
    landed = bar_store(settings, "landing")
    if landed.version() >= 0 and landed.read().drop("ingested_at").equals(bars.drop("ingested_at")):
        return landed.version()
    return write_frame(uri, bars)
