"""Shipped features against TA-Lib, exact arithmetic and hand-made cases."""

import datetime as dt
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib

from alphamill.adapters.feeds.sample import SampleFeed
from alphamill.features import MODEL_FEATURES, compute, registered
from alphamill.features.rolling import mean_std

SHIPPED = {
    "ret_1", "ret_5", "ret_21", "ret_63", "sma_ratio_20", "ema_12", "ema_26", "macd", "macd_signal", "macd_hist",
    "rsi_14", "atr_14", "bb_percent_b_20", "volatility_21", "volume_zscore_21", "momentum_12_1", "stoch_k_14",
    "ema_ratio", "macd_hist_pct", "atr_pct",
}  # fmt: skip


def talib_features(o: Any, h: Any, low: Any, c: Any, v: Any) -> dict[str, Any]:
    """Every shipped feature by TA-Lib's own functions, on prices without corporate actions."""
    upper, _, lower = talib.BBANDS(c, 20, 2, 2)
    line, signal, hist = talib.MACD(c, 12, 26, 9)
    band = np.where(upper > lower, upper - lower, 1.0)
    spread = talib.STDDEV(v, 21)
    momentum = np.full(c.size, np.nan)
    momentum[252:] = talib.ROCP(c, 231)[231:-21] if c.size > 252 else np.empty(0)
    volatility = np.full(c.size, np.nan)
    volatility[1:] = talib.STDDEV(talib.ROCP(c, 1)[1:], 21)
    return {
        **{f"ret_{n}": talib.ROCP(c, n) for n in (1, 5, 21, 63)},
        "sma_ratio_20": c / talib.SMA(c, 20) - 1,
        "ema_12": talib.EMA(c, 12),
        "ema_26": talib.EMA(c, 26),
        "ema_ratio": talib.EMA(c, 12) / talib.EMA(c, 26) - 1,
        "macd": line,
        "macd_signal": signal,
        "macd_hist": hist,
        "macd_hist_pct": hist / c,
        "rsi_14": talib.RSI(c, 14),
        "atr_14": talib.ATR(h, low, c, 14),
        "atr_pct": talib.ATR(h, low, c, 14) / c,
        "bb_percent_b_20": np.where(np.isnan(upper), np.nan, np.where(upper > lower, (c - lower) / band, 0.5)),
        "volatility_21": volatility,
        "volume_zscore_21": np.where(
            spread > 0,
            (v - talib.SMA(v, 21)) / np.where(spread > 0, spread, 1.0),
            np.where(np.isnan(spread), np.nan, 0),
        ),
        "momentum_12_1": momentum,
        "stoch_k_14": talib.STOCHF(h, low, c, 14, 1)[0],
    }


def check_against(bars: pl.DataFrame) -> None:
    """Equal within 1e-9 (of the value, where it is large) from the end of the warm-up on; null before."""
    table = compute(bars)
    columns = [bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    expected = talib_features(*columns)
    assert set(expected) == SHIPPED
    for feature in registered():
        got = table[feature.name]
        assert got[: feature.warm_up].null_count() == min(feature.warm_up, len(got))
        assert got[feature.warm_up :].null_count() == 0
        tail = slice(feature.warm_up, None)
        np.testing.assert_allclose(
            got.to_numpy()[tail], expected[feature.name][tail], rtol=1e-9, atol=1e-9, err_msg=feature.name
        )


@pytest.fixture(scope="module")
def sample() -> pl.DataFrame:
    """The bundled real bars, corporate actions left out: what TA-Lib sees too."""
    one = pl.lit(1.0)
    close = pl.col("session").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + pl.duration(hours=21)
    return SampleFeed().read().with_columns(ts=close, price_factor=one, split_factor=one)


@pytest.mark.parametrize("symbol", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_features_equal_talib_on_real_bars(sample: pl.DataFrame, symbol: str) -> None:
    check_against(sample.filter(symbol=symbol))


def walk(size: int = 600, price: float = 100.0, seed: int = 7) -> np.ndarray:
    return price * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, size)))


SERIES: dict[str, Callable[[], np.ndarray]] = {
    "constant": lambda: np.full(400, 12.34),
    "step": lambda: np.where(np.arange(400) < 200, 10.0, 20.0) * walk(400, 1.0),
    "tiny prices": lambda: walk(price=1e-6),
    "huge prices": lambda: walk(price=1e9),
    "spike": lambda: np.where(np.arange(400) == 200, 3.0, 1.0) * walk(400),
    "spike of a million": lambda: np.where(np.arange(400) == 200, 1e6, 1.0) * walk(400),
    "gaps": lambda: walk(400),
}


@pytest.mark.parametrize("name", SERIES)
def test_features_equal_talib_on_adversarial_series(bars_of: Any, name: str) -> None:
    close = SERIES[name]()
    rng = np.random.default_rng(1)
    wide = 0.0 if name == "constant" else 0.01
    high, low = close * (1 + wide * rng.random(close.size)), close * (1 - wide * rng.random(close.size))
    volume = np.full(close.size, 500.0) if name == "constant" else rng.integers(100, 10_000, close.size).astype(float)
    bars = bars_of(close, high=high, low=low, volume=volume)
    if name == "gaps":
        # Sessions without a row: TA-Lib counts bars, and so do the features.
        held = np.isin(np.arange(close.size), [*range(30, 45), 120, 121, 398], invert=True)
        bars = bars.filter(pl.Series(held))
    check_against(bars)


def test_a_constant_series_has_the_documented_values(bars_of: Any) -> None:
    # 12.34 has no exact binary form: a running sum would leave noise to divide by.
    last = compute(bars_of([12.34] * 300)).row(-1, named=True)
    for name in ("ret_1", "sma_ratio_20", "ema_ratio", "atr_pct", "volatility_21", "volume_zscore_21", "rsi_14"):
        assert last[name] == pytest.approx(0.0, abs=1e-15), name
    assert last["volume_zscore_21"] == last["volatility_21"] == 0.0
    assert last["bb_percent_b_20"] == 0.5
    assert last["stoch_k_14"] == 0.0
    assert last["ema_12"] == pytest.approx(12.34, rel=1e-14)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("spike", [1.0, 1e3, 1e8])
def test_moving_mean_and_std_are_exact_after_a_spike(scale: float, spike: float) -> None:
    values = scale * walk(80, 1.0)
    values[30] *= spike
    for window in (1, 2, 20, 21):
        mean, std = mean_std(values, window)
        assert np.isnan(mean[: window - 1]).all()
        assert np.isnan(std[: window - 1]).all()
        for i in range(window - 1, values.size):
            exact = [Fraction(float(x)) for x in values[i - window + 1 : i + 1]]
            centre = sum(exact) / window
            spread = math.sqrt(sum((x - centre) ** 2 for x in exact) / window)
            assert mean[i] == pytest.approx(float(centre), rel=1e-14)
            assert std[i] == pytest.approx(spread, rel=1e-9)


def test_moving_moments_of_too_short_series_are_nan() -> None:
    for size in (0, 1, 4):
        mean, std = mean_std(np.ones(size), 5)
        assert mean.shape == std.shape == (size,)
        assert np.isnan(mean).all()


def test_values_after_a_spike_do_not_depend_on_its_size(bars_of: Any) -> None:
    quiet, loud = walk(120), walk(120)
    loud[30] *= 1e8
    names = ["bb_percent_b_20", "sma_ratio_20", "volatility_21"]
    calm, after = compute(bars_of(quiet), names)[55:], compute(bars_of(loud), names)[55:]
    np.testing.assert_allclose(after.select(names).to_numpy(), calm.select(names).to_numpy(), rtol=1e-9)


def test_features_ignore_the_price_level(bars_of: Any) -> None:
    free = [f.name for f in registered() if f.unit != "usd"]
    close = walk(400)
    base = compute(bars_of(close), free).select(free).to_numpy()
    for factor in (2.0**-40, 2.0**33):
        scaled = compute(bars_of(close * factor), free).select(free).to_numpy()
        np.testing.assert_array_equal(scaled, base)


def test_a_split_moves_no_scale_free_feature_and_rescales_the_others(bars_of: Any) -> None:
    close, volume = walk(400), np.random.default_rng(2).integers(100, 10_000, 400).astype(float)
    halved = np.where(np.arange(400) < 300, 1.0, 0.5)
    factor = np.where(np.arange(400) == 300, 0.5, 1.0)
    plain = compute(bars_of(close, volume=volume))
    split = compute(bars_of(close * halved, volume=volume / halved, price_factor=factor, split_factor=factor))
    for feature in registered():
        scale = pl.Series(halved) if feature.unit == "usd" else 1.0
        expected, got = (plain[feature.name] * scale).to_numpy(), split[feature.name].to_numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=feature.name)


def test_price_features_equal_talib_on_prices_adjusted_as_known_then(bars_of: Any) -> None:
    close = walk(200)
    factor = np.ones(200)
    factor[[60, 120]] = 0.5, 0.99
    bars = bars_of(close, price_factor=factor, split_factor=np.where(factor == 0.5, 0.5, 1.0))
    table = compute(bars, ["ema_12", "macd_hist", "atr_14"])
    for t in (59, 60, 61, 119, 120, 150, 199):
        # Back-adjusted with the factors known at t, the way a data vendor would have shown it that day.
        later = np.array([factor[i + 1 : t + 1].prod() for i in range(t + 1)])
        known = close[: t + 1] * later
        assert table["ema_12"][t] == pytest.approx(talib.EMA(known, 12)[-1], rel=1e-12)
        assert table["macd_hist"][t] == pytest.approx(talib.MACD(known)[2][-1], rel=1e-9, abs=1e-12)
        assert table["atr_14"][t] == pytest.approx(talib.ATR(known, known, known, 14)[-1], rel=1e-12)


def test_a_dividend_changes_returns_but_not_volume(bars_of: Any) -> None:
    bars = bars_of([100.0, 99.0] + [99.0] * 30, price_factor=[1.0, 0.99] + [1.0] * 30)
    table = compute(bars, ["ret_1", "volume_zscore_21"])
    assert table["ret_1"][1] == pytest.approx(0.0, abs=1e-15)
    assert table["volume_zscore_21"][-1] == 0.0


def test_features_depend_on_their_declared_inputs_alone(bars_of: Any) -> None:
    close, rng = walk(300), np.random.default_rng(3)
    columns = {
        "open": close,
        "high": close * 1.02,
        "low": close * 0.98,
        "close": close,
        "volume": 1e3 * rng.random(300),
    }
    base = compute(bars_of(close, **columns))
    for changed in columns:
        other = {**columns, changed: columns[changed] * (1 + 0.01 * rng.random(300))}
        moved = compute(bars_of(close, **other))
        for feature in registered():
            same = moved[feature.name].equals(base[feature.name])
            assert same == (changed not in feature.inputs), (feature.name, changed)


def test_the_shipped_set_and_the_model_inputs_are_as_documented() -> None:
    known = {f.name: f for f in registered()}
    assert set(known) == SHIPPED
    assert all(f.doc for f in known.values())
    assert max(known[name].warm_up for name in MODEL_FEATURES) == 63
    assert not {known[name].unit for name in MODEL_FEATURES} & {"usd"}


def test_times_survive_to_the_microsecond(bars_of: Any) -> None:
    bars = bars_of([1.0, 2.0]).with_columns(ts=pl.col("ts") + dt.timedelta(microseconds=3))
    assert compute(bars, ["ret_1"])["ts"].equals(bars["ts"])
