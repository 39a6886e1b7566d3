"""The door: durable before acknowledged, sessions merged once, several doors on one table, no portfolio known."""

import datetime as dt

import polars as pl
import pytest

from alphamill.adapters.clock.system import SystemClock
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.door import Door, Roster, door_checks
from alphamill.errors import InvalidBar, InvalidConfig, UnknownSymbol
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.testing.bar_store import InMemoryBarStore
from alphamill.testing.clock import ManualClock
from alphamill.testing.journal import InMemoryBarJournal

SYMBOLS = ("SYN000", "SYN001", "SYN002")
ROSTER = Roster("XNYS", frozenset(SYMBOLS), dt.timedelta(minutes=15))


@pytest.fixture(scope="module")
def sessions() -> list[pl.DataFrame]:
    return synthetic_market(3, 12, seed=4).sort("ts", "symbol").partition_by("ts", maintain_order=True)


class House:
    """One journal and one table, and as many doors as a test wants."""

    def __init__(self, first: pl.DataFrame) -> None:
        self.store, self.journal = InMemoryBarStore(), InMemoryBarJournal()
        self.store.append(first)
        self.clock = ManualClock(first["ts"][0])

    def door(self, *rosters: Roster) -> Door:
        door = Door(check=door_checks(SystemClock()), journal=self.journal, store=self.store, clock=self.clock)
        door.expect(rosters or (ROSTER,))
        return door


@pytest.fixture
def house(sessions: list[pl.DataFrame]) -> House:
    return House(sessions[0])


def raw(session: pl.DataFrame) -> pl.DataFrame:
    return session.select(RAW_BAR_SCHEMA.names())


def test_a_complete_session_is_merged_once_and_announced_with_its_version(
    house: House, sessions: list[pl.DataFrame]
) -> None:
    door = house.door()
    door.accept(raw(sessions[1][:2]))
    assert door.merge() == []
    door.accept(raw(sessions[1][2:]))
    (event,) = door.merge()
    assert (event.close, event.symbols, event.version) == (sessions[1]["ts"][0], SYMBOLS, house.store.version())
    assert house.journal.pending().is_empty()
    assert door.merge() == []


def test_what_another_door_has_journalled_is_merged_by_this_one(house: House, sessions: list[pl.DataFrame]) -> None:
    first, second = house.door(), house.door()
    first.accept(raw(sessions[1][:2]))
    second.accept(raw(sessions[1][2:]))
    assert [event.close for event in first.merge()] == [sessions[1]["ts"][0]]
    assert second.merge() == []
    assert house.store.read().height == 6


def test_a_late_bar_of_a_session_that_another_door_merged_does_not_wait(
    house: House, sessions: list[pl.DataFrame]
) -> None:
    first, second = house.door(), house.door()
    first.accept(raw(sessions[1]))
    first.merge()
    second.accept(raw(sessions[1][:1].with_columns(volume=pl.col("volume") + 1)))
    assert [event.symbols for event in second.merge()] == [("SYN000",)]
    assert house.store.version() == 2


def test_doors_that_merge_the_same_session_make_one_version(house: House, sessions: list[pl.DataFrame]) -> None:
    first, second = house.door(), house.door()
    pending = None
    first.accept(raw(sessions[1]))
    pending = house.journal.pending()
    first.merge()
    house.journal.append(pending)  # as a door sees it that read the journal before the other one marked it
    second.merge()
    assert house.store.version() == 1


def test_a_session_closes_without_late_symbols_when_the_grace_is_over(
    house: House, sessions: list[pl.DataFrame]
) -> None:
    door = house.door()
    door.accept(raw(sessions[1][:1]))
    house.clock.set(sessions[1]["ts"][0] + dt.timedelta(minutes=14))
    assert door.merge() == []
    house.clock.set(sessions[1]["ts"][0] + dt.timedelta(minutes=16))
    assert [event.symbols for event in door.merge()] == [("SYN000",)]


def test_calendars_close_each_at_its_own_time(house: House, sessions: list[pl.DataFrame]) -> None:
    coin = Roster("24/7", frozenset({"BTC"}), dt.timedelta())
    door = house.door(ROSTER, coin)
    saturday = dt.date(2005, 1, 8)
    bar = raw(sessions[1][:1]).with_columns(symbol=pl.lit("BTC"), session=pl.lit(saturday))
    door.accept(raw(sessions[1][:2]))
    door.accept(bar)
    (event,) = door.merge()
    assert (event.symbols, event.session) == (("BTC",), saturday)
    assert event.close == dt.datetime(2005, 1, 9, tzinfo=dt.UTC)


def test_a_symbol_of_two_calendars_is_refused(house: House) -> None:
    with pytest.raises(InvalidConfig, match="SYN000 is traded on the calendars XNYS and XLON"):
        house.door(ROSTER, Roster("XLON", frozenset({"SYN000"})))


def test_a_batch_over_two_calendars_is_refused_whole(house: House, sessions: list[pl.DataFrame]) -> None:
    door = house.door(ROSTER, Roster("24/7", frozenset({"BTC"})))
    both = pl.concat([raw(sessions[1][:1]), raw(sessions[1][:1]).with_columns(symbol=pl.lit("BTC"))])
    with pytest.raises(UnknownSymbol, match="24/7, XNYS"):
        door.accept(both)
    assert house.journal.pending().is_empty()


def test_an_unknown_symbol_names_the_known_ones_and_a_bad_bar_its_rule(
    house: House, sessions: list[pl.DataFrame]
) -> None:
    door = house.door()
    with pytest.raises(UnknownSymbol, match=r"TSLA.*SYN000, SYN001"):
        door.accept(raw(sessions[1][:1]).with_columns(symbol=pl.lit("TSLA")))
    with pytest.raises(InvalidBar, match="high"):
        door.accept(raw(sessions[1][:1]).with_columns(high=pl.lit(0.01)))
    assert house.journal.pending().is_empty()


def test_a_door_finds_the_newest_session_without_reading_the_whole_table(
    house: House, sessions: list[pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    read = house.store.read

    def noted(**arguments):  # type: ignore[no-untyped-def]
        asked.append(arguments["start"])
        return read(**arguments)

    monkeypatch.setattr(house.store, "read", noted)
    door = house.door()
    door.accept(raw(sessions[1]))
    door.merge()
    assert asked == [sessions[1]["session"][0] - dt.timedelta(days=10)]
