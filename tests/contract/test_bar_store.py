"""What every `BarStore` keeps to, the fake as well as Delta."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.delta.bar_store import DeltaBarStore
from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA, empty_bars
from alphamill.errors import InvalidInput, NotFound
from alphamill.ports import BarStore
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.testing.bar_store import InMemoryBarStore

MAKERS: dict[str, Callable[[Path], BarStore]] = {
    "memory": lambda _: InMemoryBarStore(),
    "delta": lambda folder: DeltaBarStore(str(folder / "lake" / "bars")),
}


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BarStore:
    return MAKERS[request.param](tmp_path)


@pytest.fixture(scope="module")
def market() -> pl.DataFrame:
    return synthetic_market(3, 20, seed=2)


def test_an_empty_store_has_version_minus_one_and_no_rows(store: BarStore) -> None:
    assert store.version() == -1
    assert store.read().schema == BAR_SCHEMA
    assert store.read(symbols=["SYN000"]).is_empty()
    assert store.append(empty_bars()) == -1
    with pytest.raises(NotFound, match="version 0"):
        store.read(version=0)


def test_bars_come_back_as_they_went_in_sorted(store: BarStore, market: pl.DataFrame) -> None:
    assert store.append(market.sample(fraction=1.0, shuffle=True, seed=1)) == 0
    assert store.read().equals(market.sort(BAR_KEY))
    assert store.read().schema == BAR_SCHEMA


def test_the_same_bars_again_make_no_version(store: BarStore, market: pl.DataFrame) -> None:
    later = market.with_columns(pl.lit("other").alias("source"), pl.col("ingested_at").dt.offset_by("1d"))
    assert [store.append(market), store.append(market), store.append(later), store.append(market.tail(2))] == [0] * 4
    assert store.read().equals(market)


def test_a_new_session_is_added(store: BarStore, market: pl.DataFrame) -> None:
    last = market["session"].max()
    store.append(market.filter(pl.col("session") < last))
    assert store.append(market.filter(pl.col("session") == last)) == 1
    assert store.read().equals(market)
    assert store.read(version=0).height == market.height - 3


def test_a_corrected_bar_is_a_new_version_and_the_old_one_stays(store: BarStore, market: pl.DataFrame) -> None:
    store.append(market)
    here = (pl.col("symbol") == "SYN001") & (pl.col("session") == market["session"][7])
    corrected = market.with_columns(high=pl.when(here).then(pl.col("high") + 1).otherwise(pl.col("high")))
    assert store.append(corrected.with_columns(source=pl.lit("vendor"))) == 1
    assert store.read(version=1).drop("source").equals(corrected.drop("source"))
    assert store.read(version=0).equals(market)
    assert store.read().filter(pl.col("source") == "vendor").height == 1


def test_new_and_corrected_bars_may_come_together(store: BarStore, market: pl.DataFrame) -> None:
    store.append(market.head(30))
    mixed = market.slice(28, 5).with_columns(volume=pl.col("volume") + 1)
    assert store.append(mixed) == 1
    assert store.read().equals(pl.concat([market.head(28), mixed]))


def test_of_one_key_twice_in_a_batch_the_last_counts(store: BarStore, market: pl.DataFrame) -> None:
    bar = market.head(1)
    store.append(pl.concat([bar, bar.with_columns(volume=pl.lit(7.0))]))
    assert store.read()["volume"].to_list() == [7.0]


def test_reading_a_part(store: BarStore, market: pl.DataFrame) -> None:
    store.append(market)
    start, until = market["session"][3], market["session"][5]
    part = store.read(symbols=["SYN002", "SYN000", "NONE"], start=start, until=until)
    assert part.equals(
        market.filter(pl.col("symbol") != "SYN001", pl.col("session").is_between(start, until)).sort(BAR_KEY)
    )
    assert store.read(symbols=[]).is_empty()
    assert store.read(start=until, until=until)["session"].unique().to_list() == [until]


@pytest.mark.parametrize("version", [-1, 1])
def test_an_unknown_version_is_not_found(store: BarStore, market: pl.DataFrame, version: int) -> None:
    store.append(market)
    with pytest.raises(NotFound, match=f"version {version}"):
        store.read(version=version)


def test_a_frame_of_another_schema_is_refused(store: BarStore, market: pl.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="column 'volume'"):
        store.append(market.drop("volume"))
    with pytest.raises(InvalidInput, match="column 'ts'"):
        store.append(market.with_columns(pl.col("ts").dt.cast_time_unit("ns")))
    assert store.version() == -1


def test_tidying_changes_no_row(store: BarStore, market: pl.DataFrame) -> None:
    store.tidy()
    assert store.version() == -1
    for session in market.partition_by("session", maintain_order=True):
        store.append(session)
    before = store.version()
    store.tidy()
    assert store.read().equals(market.sort(BAR_KEY))
    assert store.read(version=before).equals(market.sort(BAR_KEY))


def test_microseconds_do_not_confuse_keys(store: BarStore, market: pl.DataFrame) -> None:
    moment = dt.datetime(2024, 1, 2, 21, 0, 0, 123_456, tzinfo=dt.UTC)
    bar = market.head(1).with_columns(pl.lit(moment).cast(BAR_SCHEMA["ts"]).alias("ts"))
    store.append(bar)
    assert store.append(bar) == 0
    assert store.append(bar.with_columns(volume=pl.lit(7.0))) == 1
    assert store.read()["volume"].to_list() == [7.0]


def test_changes_between_versions_are_new_bars_and_corrected_ones(store: BarStore, market: pl.DataFrame) -> None:
    days = market["session"].unique().sort()
    old, new = market.filter(pl.col("session") < days[-1]), market.filter(pl.col("session") == days[-1])
    assert [store.append(old), store.append(new)] == [0, 1]
    corrected = old.tail(1).with_columns(volume=pl.col("volume") + 1)
    assert store.append(corrected) == 2
    assert store.changes(-1, 0).equals(old.sort("ts", "symbol"))
    assert store.changes(0, 1).equals(new.sort("ts", "symbol"))
    assert store.changes(1, 2).equals(corrected)
    assert store.changes(0, 2).equals(pl.concat([corrected, new]).sort("ts", "symbol"))
    assert store.changes(2, 2).is_empty()
    assert store.changes(-1, 2).equals(store.read().sort("ts", "symbol"))
    with pytest.raises(NotFound, match="version 7"):
        store.changes(0, 7)


def test_putting_the_table_in_order_is_no_change(tmp_path: Path, market: pl.DataFrame) -> None:
    store = DeltaBarStore(str(tmp_path / "bars"))
    for symbol in market["symbol"].unique():
        for _, session in market.filter(pl.col("symbol") == symbol).group_by("session", maintain_order=True):
            store.append(session)
    before = store.version()
    store.append(market.tail(1).with_columns(volume=pl.col("volume") + 1))
    for session in synthetic_market(2, 20, seed=3).partition_by("session"):
        store.append(session.with_columns(symbol=pl.col("symbol") + "X"))
    merged = store.version()
    store.tidy()
    assert store.version() == merged + 1
    assert store.changes(merged, merged + 1).is_empty()
    assert store.changes(before, merged + 1).height == 41
