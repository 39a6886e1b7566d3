"""A small labelled market with a known signal: the label follows f0, its spread follows f1."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from alphamill.training import Dataset, build_dataset

HORIZON = 5
FEATURES = ("f0", "f1", "f2")
START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)

MakeFrame = Callable[..., pl.DataFrame]


def make_frame(*, sessions: int = 400, symbols: tuple[str, ...] = ("AAA", "BBB"), seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    days = pl.Series(
        [START + dt.timedelta(days=i) for i in range(sessions + HORIZON + 1)], dtype=pl.Datetime("us", "UTC")
    )
    parts = []
    for symbol in symbols:
        x = rng.normal(size=(sessions, 3)) * [1.0, 1.0, 50.0] + [0.0, 0.0, 1000.0]
        noise = rng.normal(size=sessions) * np.where(x[:, 1] > 0, 2.0, 0.5)
        part = pl.DataFrame({name: x[:, i] for i, name in enumerate(FEATURES)}).with_columns(
            symbol=pl.lit(symbol),
            ts=days[:sessions],
            label=pl.Series(0.02 * (0.5 * x[:, 0] + noise)),
            label_end_ts=days[HORIZON + 1 :],
        )
        parts.append(part)
    return pl.concat(parts)


@pytest.fixture(scope="session")
def frame_factory() -> MakeFrame:
    return make_frame


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return build_dataset(make_frame(), FEATURES, horizon_bars=HORIZON, data_version="7")
