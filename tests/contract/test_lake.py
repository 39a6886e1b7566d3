"""One suite for every `Lake`."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.delta.lake import DeltaLake
from alphamill.errors import DataUnfit, NotFound
from alphamill.ports import Lake
from alphamill.testing.lake import InMemoryLake

FIRST = pl.DataFrame({"symbol": ["B", "A"], "close": [1.5, None]})
SECOND = pl.DataFrame({"symbol": ["A"], "label": [0.1], "ts": pl.Series([0], dtype=pl.Datetime("us", "UTC"))})


@pytest.fixture(params=["memory", "delta"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return InMemoryLake() if request.param == "memory" else DeltaLake(str(tmp_path / "lake"))


def test_rows_come_back_as_they_were_written(lake: Lake) -> None:
    assert lake.write("features", FIRST) == 0
    assert lake.read("features").equals(FIRST)
    assert lake.read("features", 0).equals(FIRST)


def test_each_write_replaces_the_rows_and_older_versions_stay(lake: Lake) -> None:
    lake.write("features", FIRST)
    assert lake.write("features", SECOND) == 1
    assert lake.read("features").equals(SECOND)
    assert lake.read("features", 0).equals(FIRST)
    assert lake.version("features") == 1


def test_tables_do_not_share_rows_or_versions(lake: Lake) -> None:
    lake.write("features", FIRST)
    assert lake.version("training") == -1
    assert lake.write("training", SECOND) == 0
    assert lake.read("features").equals(FIRST)


@pytest.mark.parametrize("version", [None, 0])
def test_a_table_that_does_not_exist_is_not_found(lake: Lake, version: int | None) -> None:
    assert lake.version("features") == -1
    with pytest.raises(NotFound):
        lake.read("features", version)


@pytest.mark.parametrize("version", [-1, 1])
def test_a_version_that_does_not_exist_is_not_found(lake: Lake, version: int) -> None:
    lake.write("features", FIRST)
    with pytest.raises(NotFound, match="newest is 0"):
        lake.read("features", version)


def test_parts_become_one_version(lake: Lake) -> None:
    assert lake.write_parts("features", FIRST.schema, [FIRST, FIRST.reverse()]) == 0
    assert lake.read("features").sort("symbol", "close").equals(pl.concat([FIRST, FIRST]).sort("symbol", "close"))
    assert lake.write_parts("features", SECOND.schema, [SECOND]) == 1
    assert lake.read("features").equals(SECOND)


def test_a_part_that_cannot_be_made_leaves_the_table_as_it_was(lake: Lake) -> None:
    lake.write("features", FIRST)

    def parts() -> Iterator[pl.DataFrame]:
        yield FIRST
        raise DataUnfit("bar 7 is NaN.")

    with pytest.raises(DataUnfit, match="bar 7"):
        lake.write_parts("features", FIRST.schema, parts())
    assert lake.version("features") == 0
    assert lake.read("features").equals(FIRST)


def test_no_part_makes_an_empty_table(lake: Lake) -> None:
    assert lake.write_parts("features", FIRST.schema, []) == 0
    assert lake.read("features").is_empty()
    assert lake.read("features").schema == FIRST.schema
