"""Batch, newest bar and restart agree bit for bit, and nothing looks ahead."""

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.features import compute, forward_return, newest
from alphamill.features.history import BarHistory

START = dt.datetime(2000, 3, 1, 21, tzinfo=dt.UTC)


@st.composite
def markets(draw: st.DrawFn) -> pl.DataFrame:
    """Bars of one to three symbols: prices from 1e-6 to 1e9, splits, dividends, spikes, standstill, missing days."""
    frames = []
    for symbol in ("AAA", "BBB", "CCC")[: draw(st.integers(1, 3))]:
        size = draw(st.integers(1, 320))
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        volatility = draw(st.sampled_from([0.0, 1e-6, 0.02, 0.5]))
        close = draw(st.sampled_from([1e-6, 1.0, 123.45, 1e9])) * np.exp(np.cumsum(rng.normal(0, volatility, size)))
        close[rng.random(size) < 0.01] *= draw(st.sampled_from([1.0, 1e-3, 1e4]))
        price_factor = np.where(rng.random(size) < 0.01, 0.5, np.where(rng.random(size) < 0.02, 0.99, 1.0))
        spread = volatility * rng.random(size)
        days = np.flatnonzero(np.append(True, rng.random(2 * size) < 0.9))[:size]
        size = days.size
        values = {
            "open": close * (1 + spread / 2),
            "high": close * (1 + spread),
            "low": close / (1 + spread),
            "close": close,
            "volume": np.where(rng.random(spread.size) < 0.05, 0.0, rng.integers(0, 10**9, spread.size)),
            "price_factor": price_factor,
            "split_factor": np.where(price_factor == 0.5, 0.5, 1.0),
        }
        ts = [START + dt.timedelta(days=int(day)) for day in days]
        frames.append(
            pl.DataFrame(
                {
                    "symbol": symbol,
                    "ts": ts,
                    "session": [t.date() for t in ts],
                    **{name: column[:size] for name, column in values.items()},
                    "source": "test",
                    "ingested_at": ts,
                },
                schema=BAR_SCHEMA,
            )
        )
    return pl.concat(frames)


@settings(max_examples=40, deadline=None)
@given(bars=markets(), data=st.data())
def test_newest_equals_batch_bit_for_bit_also_after_a_restart(bars: pl.DataFrame, data: st.DataObject) -> None:
    batch = compute(bars)
    last = batch.group_by("symbol", maintain_order=True).last()
    sessions = bars["ts"].unique().sort()
    cut = sessions[data.draw(st.integers(0, len(sessions) - 1))]

    live = BarHistory.from_bars(bars.filter(pl.col("ts") <= cut))
    for (_ts,), session in sorted(bars.filter(pl.col("ts") > cut).partition_by("ts", as_dict=True).items()):
        live.append(session)
    restarted = BarHistory.from_bars(bars.sort("ts", "symbol"))

    for history in (live, restarted):
        assert newest(history).equals(last.select(batch.columns))


@settings(max_examples=40, deadline=None)
@given(bars=markets(), data=st.data())
def test_truncating_history_changes_no_earlier_value(bars: pl.DataFrame, data: st.DataObject) -> None:
    cut = data.draw(st.sampled_from(bars["ts"].unique().sort().to_list()))
    known = bars.filter(pl.col("ts") <= cut)
    assert compute(known).equals(compute(bars).filter(pl.col("ts") <= cut))


@settings(max_examples=20, deadline=None)
@given(bars=markets(), horizon=st.integers(1, 30), data=st.data())
def test_a_label_is_known_exactly_when_its_end_is(bars: pl.DataFrame, horizon: int, data: st.DataObject) -> None:
    cut = data.draw(st.sampled_from(bars["ts"].unique().sort().to_list()))
    whole = forward_return(bars, horizon).filter(pl.col("ts") <= cut)
    known = forward_return(bars.filter(pl.col("ts") <= cut), horizon)
    ended = whole["label_end_ts"].is_not_null() & (whole["label_end_ts"] <= cut).fill_null(False)
    assert (known["label"].is_not_null() == ended).all()
    assert known.filter(ended).equals(whole.filter(ended))
