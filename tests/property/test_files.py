"""Whatever a bar file holds: it is read row by row or refused by name, and no row vanishes on the way to the store."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphamill.adapters.feeds.files import FolderFeed
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.errors import InvalidConfig
from alphamill.ingestion import normalise
from alphamill.testing.strategies import NOW
from alphamill.validation import validate

MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
COLUMNS = ("symbol", "date", "open", "high", "low", "close", "volume")
text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)
good = {
    "symbol": st.sampled_from(("AAA", " aaa", "BBB")),
    "date": st.sampled_from(("2024-01-03", "2024-01-04", "2024-01-06", "2024-01-05T00:00:00")),
    "open": st.just("10"),
    "high": st.sampled_from(("11", "11.5", "1e1")),
    "low": st.sampled_from(("9", "9.5 ")),
    "close": st.sampled_from(("10.5", "10")),
    "volume": st.sampled_from(("100", "0", "1e6")),
    "adj_close": st.sampled_from(("10.5", "5.25")),
    "price_factor": st.sampled_from(("1", "0.5")),
    "colour": text,
}
hostile = st.one_of(
    text, st.sampled_from(("nan", "inf", "-1", "", "1,5", "0x10", "1e400", "٣", "NULL", '"', "2024-13-01"))
)
values = {name: st.one_of(*[strategy] * 6, hostile) for name, strategy in good.items()}


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A CSV with mostly good cells, in any order of columns; sometimes a header that is wrong."""
    columns = [*COLUMNS, *draw(st.sampled_from(((), ("adj_close",), ("price_factor",), ("colour",))))]
    columns = list(draw(st.permutations(columns)))
    if draw(st.integers(0, 9)) == 0:
        columns[draw(st.integers(0, len(columns) - 1))] = draw(st.sampled_from(("", "open", "Close ", "x")))
    rows = draw(st.lists(st.tuples(*(values.get(name.strip().lower(), text) for name in columns)), max_size=8))
    out = io.StringIO()
    csv.writer(out).writerows([columns, *rows])
    return out.getvalue().encode()


@MANY
@given(files())
def test_every_row_of_a_file_is_accepted_or_quarantined_with_its_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bars.csv").write_bytes(content)
    try:
        raw = FolderFeed(tmp_path).read()
    except InvalidConfig:  # a header that is wrong, or a column in which nothing can be read
        return
    assert raw.schema == RAW_BAR_SCHEMA
    rows = list(csv.reader(io.StringIO(content.decode())))[1:]
    assert raw.height == len([row for row in rows if row])
    result = validate(normalise(raw, source="f", calendar="XNYS", ingested_at=NOW), calendar="XNYS", now=NOW)
    assert result.accepted.height + result.quarantined.height == raw.height
    assert result.quarantined["reason"].null_count() == 0
    numbers = result.accepted.select("open", "high", "low", "close", "price_factor")
    assert (numbers > 0).fold(lambda left, right: left & right).all() if numbers.height else True
    assert all(column.is_finite().all() for column in numbers)


@MANY
@given(st.one_of(st.binary(max_size=200), text.map(str.encode)))
def test_a_file_that_is_no_bar_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bars.csv").write_bytes(content)
    with pytest.raises(InvalidConfig, match=r"bars\.csv"):
        FolderFeed(tmp_path).read()


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\x00" * 100 + b"PAR1", b""])
def test_a_broken_parquet_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bars.parquet").write_bytes(content)
    with pytest.raises(InvalidConfig, match=r"bars\.parquet"):
        FolderFeed(tmp_path).read()
