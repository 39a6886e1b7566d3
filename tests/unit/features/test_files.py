"""Features from file to file, and in parts, are what `compute` gives."""

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from alphamill.errors import DataUnfit, InvalidBar, StoreUnavailable
from alphamill.features import compute, feature, table
from alphamill.features.files import compute_file
from alphamill.features.prices import Floats, Prices
from alphamill.proofs.synthetic_market import synthetic_market

NAMES = ("rsi_14", "ret_1", "volume_zscore_21")


@pytest.fixture
def market() -> pl.DataFrame:
    return synthetic_market(5, 60, seed=1)


@pytest.mark.parametrize("part_bars", [1, 60, 130, 1_000])
def test_parts_are_whole_symbols_and_add_up(
    market: pl.DataFrame, monkeypatch: pytest.MonkeyPatch, part_bars: int
) -> None:
    whole = compute(market, NAMES)
    monkeypatch.setattr(table, "_PART_BARS", part_bars)
    parts = list(table.compute_in_parts(market.sample(fraction=1.0, shuffle=True, seed=1).sort("ts"), NAMES))
    assert pl.concat(parts).equals(whole)
    assert [part["symbol"].n_unique() for part in parts] == {1: [1] * 5, 60: [1] * 5, 130: [2, 2, 1], 1_000: [5]}[
        part_bars
    ]


def test_file_to_file_is_compute(market: pl.DataFrame, tmp_path: Path) -> None:
    market.write_parquet(tmp_path / "bars.parquet")
    compute_file(tmp_path / "bars.parquet", tmp_path / "features.parquet", NAMES)
    assert pl.read_parquet(tmp_path / "features.parquet").equals(compute(market, NAMES))


def test_no_bars_give_an_empty_table(market: pl.DataFrame, tmp_path: Path) -> None:
    market.clear().write_parquet(tmp_path / "bars.parquet")
    compute_file(tmp_path / "bars.parquet", tmp_path / "features.parquet", NAMES)
    assert pl.read_parquet(tmp_path / "features.parquet").equals(compute(market.clear(), NAMES))


def test_error_keeps_its_class_and_leaves_no_file(market: pl.DataFrame, tmp_path: Path) -> None:
    source, target = tmp_path / "bars.parquet", tmp_path / "features.parquet"
    market.with_columns(close=pl.lit(-1.0)).write_parquet(source)
    with pytest.raises(InvalidBar, match="close of"):
        compute_file(source, target, NAMES)
    assert not target.exists()


@pytest.mark.usefixtures("own_features")
def test_error_in_a_later_part_leaves_no_file(
    market: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "_PART_BARS", 60)
    calls = itertools.count()
    source, target = tmp_path / "bars.parquet", tmp_path / "features.parquet"

    @feature("fails_late", inputs=("close",), warm_up=0)
    def fails_late(w: Prices) -> Floats:
        return w.close if next(calls) < 3 else np.full_like(w.close, np.nan)

    market.write_parquet(source)
    with pytest.raises(DataUnfit, match=f"fails_late of {market['symbol'].unique().sort()[3]}"):
        compute_file(source, target, ["fails_late"])
    assert not target.exists()


def test_unreadable_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"bars\.parquet"):
        compute_file(tmp_path / "bars.parquet", tmp_path / "features.parquet", NAMES)
