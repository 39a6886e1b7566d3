"""The `BarJournal` port, kept by the fake and by SQL in memory and in a file."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from alphamill.adapters.sql import SqlBarJournal
from alphamill.domain.bars import BAR_SCHEMA, empty_bars
from alphamill.errors import InvalidBar, InvalidInput
from alphamill.ports import BarJournal
from alphamill.testing.journal import InMemoryBarJournal

DAY = dt.date(2012, 1, 3)


@pytest.fixture(params=["fake", "memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlBarJournal | InMemoryBarJournal]:
    if request.param == "fake":
        yield InMemoryBarJournal()
        return
    opened = SqlBarJournal("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/journal.db")
    yield opened
    opened.close()


def bars(*symbols: str, day: int = 0, close: float = 0.1 + 0.2) -> pl.DataFrame:
    session = DAY + dt.timedelta(days=day)
    ts = dt.datetime(session.year, session.month, session.day, 21, tzinfo=dt.UTC)
    numbers = {"open": close, "high": close, "low": close, "close": close, "volume": 1e9 / 3}
    row = {"ts": ts, "session": session, **numbers, "price_factor": 1.0, "split_factor": 0.5, "source": "api"}
    at = ts + dt.timedelta(microseconds=123_457)
    return pl.DataFrame([{"symbol": s, **row, "ingested_at": at} for s in symbols], schema=BAR_SCHEMA)


def test_appended_bars_are_pending_and_exact(journal: BarJournal) -> None:
    assert_frame_equal(journal.pending(), empty_bars())
    journal.append(bars("MSFT", "AAPL", day=1))
    journal.append(bars("IBM"))
    journal.append(empty_bars())
    expected = pl.concat([bars("IBM"), bars("AAPL", "MSFT", day=1)])
    assert_frame_equal(journal.pending(), expected, check_exact=True)


def test_columns_may_come_in_another_order(journal: BarJournal) -> None:
    journal.append(bars("AAPL").select(reversed(BAR_SCHEMA.names())))
    assert_frame_equal(journal.pending(), bars("AAPL"))


def test_newest_write_of_a_key_is_pending(journal: BarJournal) -> None:
    journal.append(bars("AAPL", "IBM"))
    journal.append(bars("AAPL", close=9.5))
    assert_frame_equal(journal.pending(), pl.concat([bars("AAPL", close=9.5), bars("IBM")]))


def test_merged_bars_are_no_longer_pending(journal: BarJournal) -> None:
    journal.append(bars("AAPL", "IBM"))
    journal.append(bars("AAPL", close=9.5))
    journal.mark_merged(bars("AAPL", close=9.5))
    assert_frame_equal(journal.pending(), bars("IBM"))
    journal.mark_merged(bars("IBM", "GOOG"))
    assert journal.pending().is_empty()


def test_correction_written_during_a_merge_stays_pending(journal: BarJournal) -> None:
    journal.append(bars("AAPL"))
    taken = journal.pending()
    journal.append(bars("AAPL", close=9.5))
    journal.mark_merged(taken)
    assert_frame_equal(journal.pending(), bars("AAPL", close=9.5))


def test_correction_that_another_process_merged_meanwhile_is_pending_again(journal: BarJournal) -> None:
    """Two gateways: the slower one has just put the older bar over the newer one."""
    journal.append(bars("AAPL", "IBM"))
    taken = journal.pending()
    journal.append(bars("AAPL", close=9.5))
    journal.mark_merged(journal.pending())
    journal.mark_merged(taken)
    assert_frame_equal(journal.pending(), bars("AAPL", close=9.5))
    journal.mark_merged(journal.pending())
    assert journal.pending().is_empty()


def test_bar_written_again_after_its_merge_is_pending_again(journal: BarJournal) -> None:
    for _ in range(2):
        journal.append(bars("AAPL"))
        assert_frame_equal(journal.pending(), bars("AAPL"))
        journal.mark_merged(journal.pending())
    assert journal.pending().is_empty()


def test_prune_drops_merged_bars_of_old_sessions_only(journal: SqlBarJournal | InMemoryBarJournal) -> None:
    for day in range(5):
        journal.append(bars("AAPL", "IBM", day=day))
    journal.mark_merged(journal.pending().filter(pl.col("symbol") == "AAPL"))
    assert journal.prune(keep_sessions=2) == 3
    assert journal.prune(keep_sessions=2) == 0
    assert journal.pending().height == 5
    assert journal.prune(keep_sessions=0) == 2
    with pytest.raises(InvalidInput, match="keep_sessions"):
        journal.prune(keep_sessions=-1)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_unfit_number_is_refused_and_nothing_is_written(journal: BarJournal, value: float | None) -> None:
    spoiled = bars("AAPL", "IBM").with_columns(high=pl.Series([1.0, value], dtype=pl.Float64))
    with pytest.raises(InvalidBar) as refused:
        journal.append(spoiled)
    assert refused.value.field == "high"
    assert journal.pending().is_empty()


def test_wrong_columns_are_refused(journal: BarJournal) -> None:
    with pytest.raises(InvalidBar, match="column volume"):
        journal.append(bars("AAPL").drop("volume"))
    with pytest.raises(InvalidBar, match="column ts"):
        journal.append(bars("AAPL").with_columns(pl.col("ts").dt.replace_time_zone(None)))


def test_journal_in_a_file_survives_its_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/journal.db"
    first = SqlBarJournal(url)
    first.append(bars("AAPL"))
    second = SqlBarJournal(url)
    assert_frame_equal(second.pending(), bars("AAPL"))
    for opened in (first, second):
        opened.close()
