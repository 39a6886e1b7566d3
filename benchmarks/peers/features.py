"""The fourteen features of the benchmark as TA-Lib, polars and pandas users write them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

NAMES = (
    *("ret_1", "ret_5", "ret_21", "ret_63", "sma_ratio_20", "ema_ratio", "macd_hist_pct", "rsi_14", "atr_pct"),
    *("bb_percent_b_20", "volatility_21", "volume_zscore_21", "stoch_k_14", "momentum_12_1"),
)
_COLUMNS = ["symbol", "ts", "high", "low", "close", "volume"]


def read(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path, columns=_COLUMNS)


def talib(bars: pl.DataFrame) -> pl.DataFrame:
    """Per symbol, on numpy slices of whole columns, into whole columns."""
    high, low, close, volume = (bars[name].to_numpy() for name in _COLUMNS[2:])
    lengths = bars["symbol"].rle().struct.field("len").to_numpy()
    ends = np.cumsum(lengths).tolist()
    out = [np.empty(bars.height) for _ in NAMES]
    for start, end in zip([0, *ends], ends, strict=False):
        part = slice(start, end)
        for column, values in zip(out, _talib(high[part], low[part], close[part], volume[part]), strict=True):
            column[part] = values
    columns = [pl.Series(name, column, nan_to_null=True) for name, column in zip(NAMES, out, strict=True)]
    return pl.DataFrame([bars["symbol"], bars["ts"], *columns])


def _talib(high: np.ndarray, low: np.ndarray, close: np.ndarray, volume: np.ndarray) -> tuple[np.ndarray, ...]:
    import talib as ta

    upper, _, lower = ta.BBANDS(close, 20, 2.0, 2.0)
    returns = ta.ROCP(close, 1)
    volatility = np.full_like(close, np.nan)
    volatility[1:] = ta.STDDEV(returns[1:], 21)
    momentum = np.full_like(close, np.nan)
    momentum[252:] = close[231:-21] / close[:-252] - 1.0
    return (
        returns,
        ta.ROCP(close, 5),
        ta.ROCP(close, 21),
        ta.ROCP(close, 63),
        close / ta.SMA(close, 20) - 1.0,
        ta.EMA(close, 12) / ta.EMA(close, 26) - 1.0,
        ta.MACD(close, 12, 26, 9)[2] / close,
        ta.RSI(close, 14),
        ta.ATR(high, low, close, 14) / close,
        (close - lower) / (upper - lower),
        volatility,
        (volume - ta.SMA(volume, 21)) / ta.STDDEV(volume, 21),
        ta.STOCHF(high, low, close, 14, 1)[0],
        momentum,
    )


def polars(bars: pl.DataFrame) -> pl.DataFrame:
    """Expressions over windows. Recursive averages start at the first bar; TA-Lib's start with a mean."""
    close, high, low, volume = (pl.col(name) for name in ("close", "high", "low", "volume"))
    change = close.diff()
    macd = close.ewm_mean(alpha=2 / 13, adjust=False) - close.ewm_mean(alpha=2 / 27, adjust=False)
    gain = change.clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    loss = (-change).clip(lower_bound=0).ewm_mean(alpha=1 / 14, adjust=False)
    previous = close.shift(1)
    true_range = pl.max_horizontal(high - low, (high - previous).abs(), (low - previous).abs())
    mean, std = close.rolling_mean(20), close.rolling_std(20, ddof=0)
    low_14, high_14 = low.rolling_min(14), high.rolling_max(14)
    features = {
        **{f"ret_{n}": close / close.shift(n) - 1.0 for n in (1, 5, 21, 63)},
        "sma_ratio_20": close / mean - 1.0,
        "ema_ratio": close.ewm_mean(alpha=2 / 13, adjust=False) / close.ewm_mean(alpha=2 / 27, adjust=False) - 1.0,
        "macd_hist_pct": (macd - macd.ewm_mean(alpha=2 / 10, adjust=False)) / close,
        "rsi_14": 100.0 * gain / (gain + loss),
        "atr_pct": true_range.ewm_mean(alpha=1 / 14, adjust=False) / close,
        "bb_percent_b_20": (close - (mean - 2 * std)) / (4 * std),
        "volatility_21": (close / previous - 1.0).rolling_std(21, ddof=0),
        "volume_zscore_21": (volume - volume.rolling_mean(21)) / volume.rolling_std(21, ddof=0),
        "stoch_k_14": 100.0 * (close - low_14) / (high_14 - low_14),
        "momentum_12_1": close.shift(21) / close.shift(252) - 1.0,
    }
    return bars.select("symbol", "ts", *(features[name].over("symbol").alias(name) for name in NAMES))


def pandas(bars: Any) -> Any:
    """One function per group, as most notebooks have it; `bars` and the answer are pandas frames."""
    import pandas as pd

    parts = [pd.DataFrame(_pandas(group)) for _, group in bars.groupby("symbol", sort=False)]
    return pd.concat([bars[["symbol", "ts"]], pd.concat(parts)], axis=1)


def _pandas(g: Any) -> dict[str, Any]:
    import pandas as pd

    close, high, low, volume = g["close"], g["high"], g["low"], g["volume"]
    change, previous = close.diff(), close.shift(1)
    fast, slow = close.ewm(span=12, adjust=False).mean(), close.ewm(span=26, adjust=False).mean()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    true_range = pd.concat([high - low, (high - previous).abs(), (low - previous).abs()], axis=1).max(axis=1)
    mean, std = close.rolling(20).mean(), close.rolling(20).std(ddof=0)
    low_14, high_14 = low.rolling(14).min(), high.rolling(14).max()
    macd = fast - slow
    features = {
        **{f"ret_{n}": close / close.shift(n) - 1.0 for n in (1, 5, 21, 63)},
        "sma_ratio_20": close / mean - 1.0,
        "ema_ratio": fast / slow - 1.0,
        "macd_hist_pct": (macd - macd.ewm(span=9, adjust=False).mean()) / close,
        "rsi_14": 100.0 * gain / (gain + loss),
        "atr_pct": true_range.ewm(alpha=1 / 14, adjust=False).mean() / close,
        "bb_percent_b_20": (close - (mean - 2 * std)) / (4 * std),
        "volatility_21": (close / previous - 1.0).rolling(21).std(ddof=0),
        "volume_zscore_21": (volume - volume.rolling(21).mean()) / volume.rolling(21).std(ddof=0),
        "stoch_k_14": 100.0 * (close - low_14) / (high_14 - low_14),
        "momentum_12_1": close.shift(21) / close.shift(252) - 1.0,
    }
    return {name: features[name] for name in NAMES}
