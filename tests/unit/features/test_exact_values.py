"""Every shipped feature against its definition in decimal arithmetic of 60 digits, and TA-Lib against it too.

TA-Lib keeps running sums: after a huge spike their rounding stays in every later window. There the product is held
against the exact values alone, and a test shows that TA-Lib is off.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import talib

from alphamill.errors import DataUnfit, InvalidBar
from alphamill.features import Prices, compute, feature, newest, registered
from alphamill.features.history import BarHistory

Numbers = Sequence[Decimal]
Line = list[Decimal | None]
_DIGITS = 60


def exact_features(high: Any, low: Any, close: Any, volume: Any) -> dict[str, np.ndarray]:
    """By feature name, float64 [n], NaN in the warm-up; prices without corporate actions."""
    with localcontext() as context:
        context.prec = _DIGITS
        h, low_, c, v = ([Decimal(float(x)) for x in column] for column in (high, low, close, volume))
        lines = {**_ratios(c), **_averages(c), **_windows(c, v), **_wilder(h, low_, c), **_ranges(h, low_, c)}
        return {name: np.array([np.nan if x is None else float(x) for x in line]) for name, line in lines.items()}


def _ratios(c: Numbers) -> dict[str, Line]:
    past: dict[str, Line] = {
        f"ret_{n}": [None if t < n else c[t] / c[t - n] - 1 for t in range(len(c))] for n in (1, 5, 21, 63)
    }
    past["momentum_12_1"] = [None if t < 252 else c[t - 21] / c[t - 252] - 1 for t in range(len(c))]
    return past


def _ema(values: Numbers, bars: int, first: int) -> Line:
    """Seeded with the mean of the `bars` values that end at `first`, as TA-Lib does."""
    out: Line = [None] * len(values)
    if first < len(values):
        state = sum(values[first - bars + 1 : first + 1]) / Decimal(bars)
        out[first] = state
        for t in range(first + 1, len(values)):
            state += Decimal(2) / (bars + 1) * (values[t] - state)
            out[t] = state
    return out


def _over(left: Line, right: Line, do: Callable[[Decimal, Decimal], Decimal]) -> Line:
    return [None if a is None or b is None else do(a, b) for a, b in zip(left, right, strict=True)]


def _averages(c: Numbers) -> dict[str, Line]:
    fast, slow = _ema(c, 12, 11), _ema(c, 26, 25)
    # TA-Lib's MACD seeds both averages at the same bar.
    line = _over(_ema(c, 12, 25), slow, lambda a, b: a - b)
    signal: Line = [None] * 25 + _ema([x for x in line if x is not None], 9, 8)
    hist = _over(line, signal, lambda a, b: a - b)
    known = [s is not None for s in signal]
    return {
        "ema_12": fast,
        "ema_26": slow,
        "ema_ratio": _over(fast, slow, lambda a, b: a / b - 1),
        "macd": [x if k else None for x, k in zip(line, known, strict=True)],
        "macd_signal": signal,
        "macd_hist": hist,
        "macd_hist_pct": _over(hist, list(c), lambda a, b: a / b),
    }


def _moments(values: Numbers, bars: int, t: int) -> tuple[Decimal, Decimal]:
    window = values[t - bars + 1 : t + 1]
    mean = sum(window) / Decimal(bars)
    return mean, (sum((x - mean) ** 2 for x in window) / Decimal(bars)).sqrt()


def _windows(c: Numbers, v: Numbers) -> dict[str, Line]:
    n = len(c)
    out: dict[str, Line] = {
        name: [None] * n for name in ("sma_ratio_20", "bb_percent_b_20", "volatility_21", "volume_zscore_21")
    }
    returns = [Decimal(0), *(c[t] / c[t - 1] - 1 for t in range(1, n))]
    for t in range(n):
        if t >= 19:
            mean, std = _moments(c, 20, t)
            out["sma_ratio_20"][t] = c[t] / mean - 1
            out["bb_percent_b_20"][t] = Decimal("0.5") + ((c[t] - mean) / (4 * std) if std else 0)
        if t >= 20:
            mean, std = _moments(v, 21, t)
            out["volume_zscore_21"][t] = (v[t] - mean) / std if std else Decimal(0)
        if t >= 21:
            out["volatility_21"][t] = _moments(returns, 21, t)[1]
    return out


def _smoothed(values: Numbers) -> Line:
    """Wilder's average of 14 of values[1:], seeded with the mean of the first 14."""
    out: Line = [None] * len(values)
    if len(values) > 14:
        state = sum(values[1:15]) / Decimal(14)
        out[14] = state
        for t in range(15, len(values)):
            state = (state * 13 + values[t]) / 14
            out[t] = state
    return out


def _wilder(h: Numbers, low: Numbers, c: Numbers) -> dict[str, Line]:
    move = [Decimal(0), *(c[t] - c[t - 1] for t in range(1, len(c)))]
    gain, loss = _smoothed([max(m, Decimal(0)) for m in move]), _smoothed([max(-m, Decimal(0)) for m in move])
    reach = [
        h[t] - low[t] if t == 0 else max(h[t] - low[t], abs(h[t] - c[t - 1]), abs(low[t] - c[t - 1]))
        for t in range(len(c))
    ]
    atr = _smoothed(reach)
    return {
        "rsi_14": _over(gain, loss, lambda a, b: 100 * a / (a + b) if a + b else Decimal(0)),
        "atr_14": atr,
        "atr_pct": _over(atr, list(c), lambda a, b: a / b),
    }


def _ranges(h: Numbers, low: Numbers, c: Numbers) -> dict[str, Line]:
    out: Line = [None] * len(c)
    for t in range(13, len(c)):
        top, bottom = max(h[t - 13 : t + 1]), min(low[t - 13 : t + 1])
        out[t] = 100 * (c[t] - bottom) / (top - bottom) if top > bottom else Decimal(0)
    return {"stoch_k_14": out}


def walk(size: int = 400, price: float = 100.0, seed: int = 7) -> np.ndarray:
    return price * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, size)))


def spiked(size: float) -> np.ndarray:
    return np.where(np.arange(400) == 200, size, 1.0) * walk()


CLOSES: dict[str, Callable[[], np.ndarray]] = {
    "constant": lambda: np.full(400, 12.34),
    "step": lambda: np.where(np.arange(400) < 200, 10.0, 20.0) * walk(price=1.0),
    "step between constants": lambda: np.where(np.arange(400) < 200, 12.34, 43.21),
    "spike of 3": lambda: spiked(3.0),
    "spike of a million": lambda: spiked(1e6),
    "spike of a hundred million": lambda: spiked(1e8),
    "dip to a thousandth": lambda: spiked(1e-3),
    "gaps": lambda: walk(),
    "prices of 1e-6": lambda: walk(price=1e-6),
    "prices of 1e9": lambda: walk(price=1e9),
}


@cache
def columns_of(name: str) -> dict[str, np.ndarray]:
    close, rng = CLOSES[name](), np.random.default_rng(1)
    still = "constant" in name
    wide = 0.0 if still else 0.01
    volume = np.full(close.size, 500.0) if still else rng.integers(100, 10_000, close.size).astype(float)
    return {
        "high": close * (1 + wide * rng.random(close.size)),
        "low": close * (1 - wide * rng.random(close.size)),
        "close": close,
        "volume": volume,
    }


@cache
def exact_of(name: str) -> dict[str, np.ndarray]:
    return exact_features(**columns_of(name))


def bars_for(name: str, bars_of: Any) -> pl.DataFrame:
    columns = dict(columns_of(name))
    rows: pl.DataFrame = bars_of(columns.pop("close"), **columns)
    if name != "gaps":
        return rows
    # Sessions without a bar, five times three of them and once before the last bar: no row, so no NaN either.
    holes = sum((pl.int_range(pl.len()) >= at).cast(pl.Int64) * 3 for at in (50, 90, 91, 250, 399))
    moved = pl.col("ts") + pl.duration(days=holes)
    return rows.with_columns(ts=moved, session=moved.dt.date())


@pytest.mark.parametrize("name", CLOSES)
def test_every_feature_equals_its_definition(bars_of: Any, name: str) -> None:
    table, expected, close = compute(bars_for(name, bars_of)), exact_of(name), columns_of(name)["close"]
    assert set(expected) == {known.name for known in registered()}
    for known in registered():
        got = table[known.name].to_numpy()
        scale = np.maximum.accumulate(close) if known.unit == "usd" else 1.0
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected[known.name]), err_msg=known.name)
        gap = np.abs(got - expected[known.name]) / np.maximum(np.abs(expected[known.name]), scale)
        assert np.nanmax(gap) <= 1e-9, (known.name, np.nanmax(gap))


def test_talib_is_off_after_a_huge_spike() -> None:
    close, exact = columns_of("spike of a hundred million")["close"], exact_of("spike of a hundred million")
    upper, _, lower = talib.BBANDS(close, 20, 2, 2)
    gap = np.abs((close - lower) / (upper - lower) - exact["bb_percent_b_20"])
    # The spike has left every window by then.
    assert gap[230:].max() > 1e-9


LOOKED_AT = {1, 5, 11, 13, 14, 19, 20, 21, 25, 33, 63, 199, 200, 201, 213, 214, 219, 220, 221, 222, 226, 252, 300}


@pytest.mark.parametrize("name", CLOSES)
def test_batch_newest_and_restart_agree_bit_for_bit_at_every_bar(bars_of: Any, name: str) -> None:
    rows = bars_for(name, bars_of)
    batch, live = compute(rows), BarHistory.from_bars(rows[:1])
    for t in range(1, rows.height):
        live.append(rows[t : t + 1])
        # Around the ends of warm-ups, the spike and its windows, and the newest bar; elsewhere nothing changes.
        if t in LOOKED_AT or t == rows.height - 1:
            expected = batch[t : t + 1]
            assert newest(live).equals(expected), t
            assert newest(BarHistory.from_bars(rows[: t + 1])).equals(expected), t


BAD_VALUES = [
    ("close", float("nan")), ("open", float("inf")), ("high", 0.0), ("low", -1.0), ("volume", -1.0),
    ("volume", float("nan")), ("volume", None), ("price_factor", 0.0), ("split_factor", float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), BAD_VALUES)
def test_batch_and_live_refuse_the_same_bars_for_the_same_reason(bars_of: Any, column: str, value: Any) -> None:
    closes = walk(60)
    given = {"open": closes, "high": closes, "low": closes, "close": closes, "volume": np.full(60, 500.0)}
    given |= {"price_factor": np.ones(60), "split_factor": np.ones(60)}
    refused = []
    for bad in (30, 45):
        spoiled = {**given, column: [value if t == bad else x for t, x in enumerate(given[column])]}
        bars = bars_of(closes, **spoiled)
        with pytest.raises(InvalidBar) as batch:
            compute(bars)
        live, said = BarHistory.from_bars(bars[:1]), None
        for t in range(1, 60):
            try:
                live.append(bars[t : t + 1])
            except InvalidBar as error:
                said = (t, str(error), error.field)
                break
        assert said == (bad, str(batch.value), batch.value.field)
        refused.append(said)
    assert refused[0] != refused[1]


@pytest.fixture
def breaks_after_a_rise(own_features: None) -> str:
    @feature("breaks_after_a_rise", inputs=("close",), warm_up=1)
    def broken(prices: Prices) -> np.ndarray:
        """Infinite where the close doubled."""
        out = np.zeros(prices.close.size)
        out[1:] = np.where(prices.close[1:] > 2.0 * prices.close[:-1], np.inf, 0.0)
        return out

    return "breaks_after_a_rise"


def test_batch_and_live_refuse_the_same_feature_rows(bars_of: Any, breaks_after_a_rise: str) -> None:
    bars = bars_of(spiked(3.0)[:230])
    live, refused = BarHistory.from_bars(bars[:190]), {}
    for t in range(190, bars.height):
        live.append(bars[t : t + 1])
        answers: list[pl.DataFrame | str] = []
        for ask in (
            lambda: newest(live, [breaks_after_a_rise]),
            lambda t=t: compute(bars[: t + 1], [breaks_after_a_rise])[-1:],
        ):
            try:
                answers.append(ask())
            except DataUnfit as error:
                answers.append(str(error))
        if isinstance(answers[0], str):
            assert answers[0] == answers[1]
            refused[t] = answers[0]
        else:
            assert answers[0].equals(answers[1])
    # From the bar that broke on: a bad value in the history refuses what comes after it too.
    assert list(refused) == list(range(200, 230))
