"""The bundled sample and folders of files, down to what is wrong with them."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.feeds.files import FolderFeed
from alphamill.adapters.feeds.sample import SampleFeed
from alphamill.errors import InvalidConfig

HEADER = "symbol,date,open,high,low,close,volume"
SPLIT_DAY = dt.date(2005, 2, 28)


def folder(path: Path, **files: str) -> FolderFeed:
    for name, text in files.items():
        (path / f"{name}.csv").write_text(text)
    return FolderFeed(path)


def test_the_sample_has_three_splits_and_ninety_two_dividends() -> None:
    acting = SampleFeed().read().filter(pl.col("price_factor") != 1.0)
    halves = acting.filter((pl.col("price_factor") - 0.5).abs() < 1e-9)
    assert halves.select("symbol", "session").rows() == [
        ("AAPL", dt.date(2000, 6, 21)),
        ("AAPL", SPLIT_DAY),
        ("MSFT", dt.date(2003, 2, 18)),
    ]
    others = acting.filter(pl.col("price_factor") > 0.51)["symbol"].value_counts().sort("symbol")
    assert others.rows() == [("AAPL", 3), ("IBM", 52), ("MSFT", 37)]


def test_a_factor_does_not_depend_on_where_the_reading_starts() -> None:
    cut = SampleFeed().read(start=SPLIT_DAY, until=SPLIT_DAY).filter(pl.col("symbol") == "AAPL")
    assert cut["price_factor"].to_list() == [pytest.approx(0.5, rel=1e-9)]


def test_the_sample_written_to_a_folder_reads_the_same(tmp_path: Path) -> None:
    sample = SampleFeed().read()
    years = sample.rename({"session": "Date"}).with_columns(pl.col("volume").cast(pl.Int64))
    years.filter(pl.col("Date") < dt.date(2005, 1, 1)).write_csv(tmp_path / "1.csv")
    years.filter(pl.col("Date") >= dt.date(2005, 1, 1)).write_parquet(tmp_path / "2.parquet")
    assert FolderFeed(tmp_path).read().sort("symbol", "session").equals(sample.sort("symbol", "session"))


def test_a_history_spread_over_files_keeps_its_split(tmp_path: Path) -> None:
    head = f"{HEADER},Adj Close\n"
    feed = folder(tmp_path, a=head + "x,2024-01-02,100,100,100,100,5,50\n", b=head + "X,2024-01-03,50,50,50,50,5,50\n")
    assert feed.read()["price_factor"].to_list() == [1.0, 0.5]
    assert feed.read(start=dt.date(2024, 1, 3))["price_factor"].to_list() == [0.5]


def test_a_file_without_adjustments_has_factor_one(tmp_path: Path) -> None:
    feed = folder(tmp_path, a=f"{HEADER.upper()}\nX,2024-01-02,1,1,1,1,5\nX,2024-01-03,2,2,2,2,5\n")
    assert feed.read()["price_factor"].to_list() == [1.0, 1.0]


def test_given_factors_are_taken_as_they_are(tmp_path: Path) -> None:
    feed = folder(tmp_path, a=f"{HEADER},price_factor\nX,2024-01-02,1,1,1,1,5,0.25\n")
    assert feed.read()["price_factor"].to_list() == [0.25]


def test_the_file_that_sorts_last_is_the_newer_one(tmp_path: Path) -> None:
    feed = folder(
        tmp_path,
        a=f"{HEADER},price_factor\nX,2024-01-02,1,1,1,1,5,1\n",
        b=f"{HEADER}\nX,2024-01-02,2,2,2,2,5\n",
        c=f"{HEADER},price_factor\nX,2024-01-02,3,3,3,3,5,1\n",
    )
    assert feed.read()["close"].to_list() == [1.0, 2.0, 3.0]


def test_a_cell_that_cannot_be_read_is_null_and_its_row_stays(tmp_path: Path) -> None:
    feed = folder(tmp_path, a=f"{HEADER}\nX,2024-01-02,1,1,1,n/a,5\nX,soon,1,1,1,1,5\n")
    bars = feed.read(start=dt.date(2024, 1, 1))
    assert (bars["close"].to_list(), bars["session"].to_list()) == ([None, 1.0], [dt.date(2024, 1, 2), None])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol,date,open,high\nX,2024-01-02,1,1\n", r"a\.csv lacks the columns low, close, volume"),
        (f"{HEADER},ticker\nX,2024-01-02,1,1,1,1,5,X\n", r"a\.csv has the column 'symbol' twice"),
        (f"{HEADER},adj_close,price_factor\nX,2024-01-02,1,1,1,1,5,1,1\n", "both adj_close and price_factor"),
        (f"{HEADER}\nX,02/01/2024,1,1,1,1,5\n", r"no value of column 'date' can be read .*02/01/2024"),
        (f'{HEADER}\nX,2024-01-02,"1,5",1,1,1,5\n', "no value of column 'open' can be read"),
        ("", r"a\.csv cannot be read"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig, match=message):
        folder(tmp_path, a=text).read()


def test_a_corrupt_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InvalidConfig, match=r"bad\.parquet cannot be read"):
        FolderFeed(tmp_path).read()


def test_a_folder_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="holds no bar files"):
        FolderFeed(tmp_path).read()
    with pytest.raises(InvalidConfig, match="is no folder"):
        FolderFeed(tmp_path / "nowhere").read()
