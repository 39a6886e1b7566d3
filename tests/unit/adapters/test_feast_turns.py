"""Feast's client is not made for two threads; the controller has several."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from alphamill.adapters.feast import FeastFeatureStore
from alphamill.settings import Settings


def test_two_threads_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeastFeatureStore(Settings().feature_repo, tmp_path, "redis://127.0.0.1:1/0")
    both_inside = threading.Barrier(2)

    def read(*asked: object) -> dict[str, object]:
        with pytest.raises(threading.BrokenBarrierError):
            both_inside.wait(0.1)
        both_inside.reset()
        return {}

    monkeypatch.setattr(store, "_read", read)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda symbol: store.read_online([symbol], ["rsi_14"]), "AB")) == [{}, {}]
