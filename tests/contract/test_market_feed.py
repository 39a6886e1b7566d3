"""What every `MarketFeed` keeps to."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.feeds.files import FolderFeed
from alphamill.adapters.feeds.sample import SampleFeed
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.ports import MarketFeed


def _folder(path: Path) -> MarketFeed:
    SampleFeed().read(start=dt.date(2011, 1, 1)).rename({"session": "date"}).write_csv(path / "bars.csv")
    return FolderFeed(path)


MAKERS: dict[str, Callable[[Path], MarketFeed]] = {"sample": lambda _: SampleFeed(), "folder": _folder}


@pytest.fixture(params=MAKERS)
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> MarketFeed:
    return MAKERS[request.param](tmp_path)


def test_bars_have_the_raw_schema_and_a_named_source(feed: MarketFeed) -> None:
    assert feed.read().schema == RAW_BAR_SCHEMA
    assert feed.source


def test_both_ends_of_a_range_are_included(feed: MarketFeed) -> None:
    start, until = dt.date(2012, 6, 4), dt.date(2012, 6, 6)
    days = feed.read(start=start, until=until)["session"]
    assert (days.min(), days.max(), days.len()) == (start, until, 15)


def test_a_part_is_the_same_as_that_part_of_the_whole(feed: MarketFeed) -> None:
    start = dt.date(2012, 8, 9)
    assert feed.read(start=start).equals(feed.read().filter(pl.col("session") >= start))


def test_reading_twice_gives_the_same(feed: MarketFeed) -> None:
    assert feed.read().equals(feed.read())


def test_a_range_without_sessions_is_empty(feed: MarketFeed) -> None:
    assert feed.read(start=dt.date(2040, 1, 1)).is_empty()
