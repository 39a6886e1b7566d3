"""Delta on a real folder: races, compaction, plain frames, and a folder that cannot be used."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from alphamill.adapters.delta import bar_store as delta
from alphamill.adapters.delta.bar_store import DeltaBarStore
from alphamill.adapters.delta.tables import open_newest, read_frame, storage_options, write_frame, write_parts
from alphamill.domain.bars import BAR_KEY
from alphamill.errors import DataUnfit, NotFound, StoreUnavailable
from alphamill.proofs.synthetic_market import synthetic_market


def by_session(bars: pl.DataFrame) -> list[pl.DataFrame]:
    return bars.sort("ts").partition_by("session", maintain_order=True)


def test_writers_that_race_store_every_bar_once(tmp_path: Path) -> None:
    market = synthetic_market(5, 12, seed=3)
    shared = DeltaBarStore(str(tmp_path / "bars"))
    stores = [shared, shared, DeltaBarStore(shared.uri), DeltaBarStore(shared.uri)]
    failures: list[Exception] = []

    def write(store: DeltaBarStore) -> None:
        try:
            for bars in by_session(market):
                store.append(bars)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shared.read().equals(market)
    assert shared.version() == 11


@pytest.mark.parametrize("already", [0, 1], ids=["create", "append"])
def test_a_writer_that_comes_between_reading_and_committing_is_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, already: int
) -> None:
    sessions = by_session(synthetic_market(5, 3, seed=3))
    ours, theirs = DeltaBarStore(str(tmp_path)), DeltaBarStore(str(tmp_path))
    for bars in sessions[:already]:
        ours.append(bars)
    come_between(monkeypatch, lambda: theirs.append(sessions[already]))
    assert ours.append(pl.concat(sessions[already:])) == already + 1
    assert ours.read().equals(pl.concat(sessions).sort(BAR_KEY))


def test_a_correction_that_comes_between_is_not_undone_by_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = synthetic_market(2, 3, seed=3)
    ours, theirs = DeltaBarStore(str(tmp_path)), DeltaBarStore(str(tmp_path))
    ours.append(bars)
    come_between(monkeypatch, lambda: theirs.append(bars.head(1).with_columns(volume=pl.lit(1.0))))
    assert ours.append(bars.tail(1).with_columns(volume=pl.lit(2.0))) == 2
    assert ours.read()["volume"].to_list() == [1.0, *bars["volume"][1:-1], 2.0]


def come_between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let another writer `act` once, right after the store has read and before it commits."""
    waiting = [act]

    def after(read: Callable[..., object]) -> Callable[..., object]:
        def reading(*args: object) -> object:
            found = read(*args)
            if waiting and (found is None or isinstance(found, tuple)):
                waiting.pop()()
            return found

        return reading

    monkeypatch.setattr(delta, "_differing", after(delta._differing))
    monkeypatch.setattr(delta, "open_newest", after(delta.open_newest))


def test_a_store_sees_what_another_one_wrote(tmp_path: Path) -> None:
    ours, theirs = DeltaBarStore(str(tmp_path)), DeltaBarStore(str(tmp_path))
    first, second, third = by_session(synthetic_market(2, 3, seed=3))
    ours.append(first)
    theirs.append(second)
    assert (ours.version(), ours.append(second), ours.append(third)) == (1, 1, 2)
    assert theirs.read().height == 6


def test_many_appends_stay_few_files_and_lose_no_row(tmp_path: Path) -> None:
    market = synthetic_market(5, 500, seed=3)
    sessions = by_session(market)
    store = DeltaBarStore(str(tmp_path / "bars"))
    store.append(pl.concat(sessions[:430]))
    for bars in sessions[430:]:
        store.append(bars)
        store.tidy()
    assert store.read().equals(market)
    assert store.read(version=0).equals(pl.concat(sessions[:430]).sort(BAR_KEY))
    assert store.version() == 71, "70 appends and one compaction"
    newest = open_newest(store.uri)
    assert newest is not None
    assert len(newest.file_uris()) < 10


def test_frames_are_replaced_and_old_versions_stay(tmp_path: Path) -> None:
    uri = str(tmp_path / "lake" / "quarantine")
    bars = synthetic_market(2, 5, seed=3).with_columns(reason=pl.lit("NOT_FINITE"))
    assert [write_frame(uri, frame) for frame in (bars, bars.head(0), bars.select("symbol"))] == [0, 1, 2]
    assert read_frame(uri, version=0).equals(bars)
    assert read_frame(uri, version=1).schema == bars.schema
    assert read_frame(uri).columns == ["symbol"]


def test_a_table_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no version at all"):
        read_frame(str(tmp_path / "nothing"))
    write_frame(str(tmp_path / "one"), pl.DataFrame({"a": [1]}))
    with pytest.raises(NotFound, match="no version 3; the newest is 0"):
        read_frame(str(tmp_path / "one"), version=3)


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = DeltaBarStore(str(tmp_path / "file" / "bars"))
    with pytest.raises(StoreUnavailable, match="cannot be used") as caught:
        store.append(synthetic_market(1, 2, seed=3))
    assert caught.value.__cause__ is not None


def test_lost_files_are_unavailable_not_an_empty_answer(tmp_path: Path) -> None:
    store = DeltaBarStore(str(tmp_path / "bars"))
    store.append(synthetic_market(1, 2, seed=3))
    for part in (tmp_path / "bars").glob("*.parquet"):
        part.unlink()
    with pytest.raises(StoreUnavailable):
        store.read()


def test_a_plain_http_endpoint_is_allowed_for_s3_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    assert storage_options("s3://lake/bars") == {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ALLOW_HTTP": "true"}
    assert storage_options("/lake/bars") == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.org")
    assert storage_options("s3://lake/bars") == {"AWS_ENDPOINT_URL": "https://s3.example.org"}


def test_parts_are_one_commit_and_read_back_as_one_frame(tmp_path: Path) -> None:
    market = synthetic_market(3, 40, seed=3)
    uri = str(tmp_path / "table")
    assert write_parts(uri, market.schema, market.partition_by("symbol", maintain_order=True)) == 0
    assert write_parts(uri, market.schema, []) == 1
    assert read_frame(uri, 0).sort("symbol", "ts").equals(market)
    assert read_frame(uri).is_empty()
    assert read_frame(uri).schema == market.schema


@pytest.mark.parametrize("already", [False, True], ids=["create", "replace"])
def test_a_part_that_cannot_be_made_commits_nothing_and_keeps_its_error(tmp_path: Path, already: bool) -> None:
    market = synthetic_market(2, 5, seed=3)
    uri = str(tmp_path / "table")
    if already:
        write_frame(uri, market)

    def parts() -> Iterator[pl.DataFrame]:
        yield market
        raise DataUnfit("the second part is bad.", field="rsi_14")

    with pytest.raises(DataUnfit, match="second part") as caught:
        write_parts(uri, market.schema, parts())
    assert caught.value.field == "rsi_14"
    table = open_newest(uri)
    assert (table.version() if table else None) == (0 if already else None)


def test_newest_sessions_are_answered_without_opening_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a store that remembers nothing would answer, also after a correction, a compaction and another writer."""
    monkeypatch.setattr(delta, "_TOO_MANY_FILES", 12)
    days = by_session(synthetic_market(3, 20, seed=5))
    store = DeltaBarStore(str(tmp_path / "bars"))
    for number, day in enumerate(days):
        if number == 6:
            store.append(days[5].with_columns(pl.col("close") + 0.25))
        (DeltaBarStore(store.uri) if number == 9 else store).append(day)
        fresh = DeltaBarStore(store.uri)
        assert store.version() == fresh.version()
        start = days[max(number - 1, 0)]["session"][0]
        assert_frame_equal(store.read(start=start, version=store.version()), fresh.read(start=start))
    monkeypatch.setattr(delta, "_MAX_FILES", 4)
    store.tidy()
    assert_frame_equal(store.read(), DeltaBarStore(store.uri).read())
    for file in (tmp_path / "bars").glob("*.parquet"):
        file.unlink()
    assert store.read(start=days[-2]["session"][0], version=store.version()).height == 6
