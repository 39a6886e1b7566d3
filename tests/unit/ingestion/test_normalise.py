"""Raw bars get their place in the one schema; none is lost or judged here."""

import datetime as dt

import polars as pl
import pytest

from alphamill.domain.bars import BAR_SCHEMA, RAW_BAR_SCHEMA
from alphamill.errors import InvalidConfig, InvalidInput
from alphamill.ingestion import normalise

AT = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)


def raw(*sessions: dt.date | None, symbol: str | None = "AAPL") -> pl.DataFrame:
    numbers = dict.fromkeys(("open", "high", "low", "close", "volume", "price_factor"), 1.0)
    return pl.DataFrame([{"symbol": symbol, "session": day, **numbers} for day in sessions], schema=RAW_BAR_SCHEMA)


def closes(calendar: str, *sessions: dt.date | None) -> list[dt.datetime | None]:
    return normalise(raw(*sessions), source="t", calendar=calendar, ingested_at=AT)["ts"].to_list()


def test_ts_is_the_close_of_the_session_in_utc_summer_winter_and_early() -> None:
    days = dt.date(2024, 6, 3), dt.date(2024, 1, 2), dt.date(2023, 11, 24)
    hours = [(moment.hour, moment.minute) for moment in closes("XNYS", *days) if moment]
    assert hours == [(20, 0), (21, 0), (18, 0)]


def test_a_crypto_day_closes_at_midnight_utc() -> None:
    assert closes("24/7", dt.date(2024, 6, 2)) == [dt.datetime(2024, 6, 3, tzinfo=dt.UTC)]


def test_a_calendar_that_refuses_early_starts_works() -> None:
    assert closes("XTKS", dt.date(2024, 6, 3)) == [dt.datetime(2024, 6, 3, 6, tzinfo=dt.UTC)]


def test_a_day_without_session_keeps_its_row() -> None:
    assert closes("XNYS", dt.date(2024, 6, 2)) == [dt.datetime(2024, 6, 3, tzinfo=dt.UTC)]


def test_a_missing_date_stays_missing() -> None:
    assert closes("XNYS", None) == [None]


def test_the_last_day_of_all_keeps_its_row() -> None:
    assert closes("XNYS", dt.date.max, None) == [dt.datetime(9999, 12, 31, tzinfo=dt.UTC), None]


def test_symbols_are_stripped_and_upper_case() -> None:
    bars = normalise(raw(dt.date(2024, 6, 3), symbol=" brk.b "), source="t", calendar="XNYS", ingested_at=AT)
    assert bars.schema == BAR_SCHEMA
    assert bars.row(0, named=True) | {"symbol": "BRK.B", "source": "t", "ingested_at": AT} == bars.row(0, named=True)


def test_unknown_calendar_is_named() -> None:
    with pytest.raises(InvalidConfig, match="'NOWHERE' is unknown") as caught:
        closes("NOWHERE", dt.date(2024, 6, 3))
    assert caught.value.field == "calendar"


@pytest.mark.parametrize(
    ("broken", "message"),
    [(raw().drop("volume"), "lack the column 'volume'"), (raw().cast({"open": pl.String}), "column 'open' is String")],
)
def test_a_frame_of_another_schema_is_refused(broken: pl.DataFrame, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        normalise(broken, source="t", calendar="XNYS", ingested_at=AT)
