"""A write compares with what is online first: two threads of the controller must not do that at once."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.feast.online_features import FeastOnlineFeatures
from alphamill.adapters.feast.repo import FeastRepo
from alphamill.domain.bars import UTC_TS
from alphamill.settings import Settings


def test_two_writers_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = FeastRepo(Settings().feature_repo, tmp_path, "redis://127.0.0.1:1/0")
    online = FeastOnlineFeatures(repo)
    both_inside, written = threading.Barrier(2), []

    def compare(rows: pl.DataFrame) -> pl.DataFrame:
        with pytest.raises(threading.BrokenBarrierError):
            both_inside.wait(0.1)
        both_inside.reset()
        return rows

    monkeypatch.setattr(repo, "features", lambda: ("rsi_14",))
    monkeypatch.setattr(online, "newer", compare)
    monkeypatch.setattr(online, "put", lambda rows: written.append(rows["symbol"][0]))
    ts = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)
    schema = {"symbol": pl.String, "ts": UTC_TS, "rsi_14": pl.Float64}
    rows = [pl.DataFrame({"symbol": [symbol], "ts": [ts], "rsi_14": [50.0]}, schema=schema) for symbol in "AB"]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(online.write, rows))
    assert sorted(written) == ["A", "B"]
