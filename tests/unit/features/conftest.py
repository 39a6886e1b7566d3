"""Bars by hand, for feature tests."""

import datetime as dt
from collections.abc import Callable, Sequence

import polars as pl
import pytest

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.features import registry

BarsOf = Callable[..., pl.DataFrame]


@pytest.fixture
def bars_of() -> BarsOf:
    """Bars of one symbol from its closes; any other column by name."""

    def build(
        closes: Sequence[float], symbol: str = "AAPL", first: int = 0, **columns: Sequence[float]
    ) -> pl.DataFrame:
        days = [dt.date(2010, 1, 4) + dt.timedelta(days=first + i) for i in range(len(closes))]
        ts = [dt.datetime(d.year, d.month, d.day, 21, tzinfo=dt.UTC) for d in days]
        ones = [1.0] * len(closes)
        values = {
            "open": closes,
            "high": closes,
            "low": closes,
            "close": closes,
            "volume": [1000.0] * len(closes),
            "price_factor": ones,
            "split_factor": ones,
            **columns,
        }
        return pl.DataFrame(
            {"symbol": symbol, "ts": ts, "session": days, **values, "source": "test", "ingested_at": ts},
            schema=BAR_SCHEMA,
        )

    return build


@pytest.fixture
def own_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features registered in the test are forgotten after it."""
    monkeypatch.setattr(registry, "_FEATURES", dict(registry._FEATURES))
