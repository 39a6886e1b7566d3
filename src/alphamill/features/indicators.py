"""The shipped features: TA-Lib's where TA-Lib has them, on adjusted prices.

Moving means and standard deviations come from `rolling` instead: equal to TA-Lib's SMA, STDDEV and
BBANDS within 1e-9 wherever those keep their digits, and right where they do not (after a spike).
RSI and %K of a series that never moves are 0, as in TA-Lib; %B is then 0.5 and z-scores are 0.
"""

from inspect import unwrap
from typing import Final

import numpy as np
import talib

from alphamill.features.prices import Floats, Prices
from alphamill.features.registry import Feature, feature, register
from alphamill.features.rolling import mean_std

#: As the library exports them, they look for frames among their arguments: half the time of a short series.
_ATR, _EMA, _MACD, _RSI = (unwrap(function) for function in (talib.ATR, talib.EMA, talib.MACD, talib.RSI))

#: Scale-free inputs for models. The longest warm-up is 63 bars.
MODEL_FEATURES: Final = (
    "ret_1",
    "ret_5",
    "ret_21",
    "ret_63",
    "sma_ratio_20",
    "ema_ratio",
    "macd_hist_pct",
    "rsi_14",
    "atr_pct",
    "bb_percent_b_20",
    "volatility_21",
    "volume_zscore_21",
    "stoch_k_14",
)


def _return_over(bars: int) -> None:
    def compute(w: Prices) -> Floats:
        return talib.ROCP(w.close, bars)  # type: ignore[no-any-return]

    compute.__qualname__ = f"ret_{bars}"
    doc = f"close / close {bars} bars ago - 1."
    register(Feature(f"ret_{bars}", ("close",), bars + 1, bars, "fraction", doc, compute, across=True))


for _bars in (1, 5, 21, 63):
    _return_over(_bars)


@feature("sma_ratio_20", inputs=("close",), warm_up=19, across=True)
def sma_ratio_20(w: Prices) -> Floats:
    """close / SMA(20) - 1."""
    return w.close / _close_moments(w)[0] - 1.0


@feature("ema_12", inputs=("close",), warm_up=11, unit="usd", across=True)
def ema_12(w: Prices) -> Floats:
    """EMA(12), seeded with the SMA of the first 12 closes (TA-Lib)."""
    return _ema(w, 12) / w.unit


@feature("ema_26", inputs=("close",), warm_up=25, unit="usd", across=True)
def ema_26(w: Prices) -> Floats:
    """EMA(26), seeded with the SMA of the first 26 closes (TA-Lib)."""
    return _ema(w, 26) / w.unit


@feature("ema_ratio", inputs=("close",), warm_up=25, window=26, across=True)
def ema_ratio(w: Prices) -> Floats:
    """EMA(12) / EMA(26) - 1."""
    return _ema(w, 12) / _ema(w, 26) - 1.0


@feature("macd", inputs=("close",), warm_up=33, window=26, unit="usd", across=True)
def macd(w: Prices) -> Floats:
    """MACD(12, 26, 9): EMA(12) - EMA(26)."""
    return _macd(w)[0] / w.unit


@feature("macd_signal", inputs=("close",), warm_up=33, window=34, unit="usd", across=True)
def macd_signal(w: Prices) -> Floats:
    """EMA(9) of the MACD line."""
    return _macd(w)[1] / w.unit


@feature("macd_hist", inputs=("close",), warm_up=33, window=34, unit="usd", across=True)
def macd_hist(w: Prices) -> Floats:
    """MACD line - signal line."""
    return _macd(w)[2] / w.unit


@feature("macd_hist_pct", inputs=("close",), warm_up=33, window=34, across=True)
def macd_hist_pct(w: Prices) -> Floats:
    """MACD histogram as a fraction of the close."""
    return _macd(w)[2] / w.close


@feature("rsi_14", inputs=("close",), warm_up=14, unit="pct", across=True)
def rsi_14(w: Prices) -> Floats:
    """Wilder's RSI(14), 0..100; 0 while the close never moved (TA-Lib)."""
    return w.each(lambda close: _RSI(close, 14), w.close)


@feature("atr_14", inputs=("high", "low", "close"), warm_up=14, unit="usd", across=True)
def atr_14(w: Prices) -> Floats:
    """Wilder's ATR(14)."""
    return _atr(w) / w.unit


@feature("atr_pct", inputs=("high", "low", "close"), warm_up=14, across=True)
def atr_pct(w: Prices) -> Floats:
    """ATR(14) as a fraction of the close."""
    return _atr(w) / w.close


@feature("bb_percent_b_20", inputs=("close",), warm_up=19, across=True)
def bb_percent_b_20(w: Prices) -> Floats:
    """Bollinger %B(20, 2 sigma): 0 on the lower band, 1 on the upper; 0.5 while the close is constant."""
    mean, std = _close_moments(w)
    return 0.5 + _ratio_or_zero(w.close - mean, 4.0 * std)


@feature("volatility_21", inputs=("close",), warm_up=21, across=True)
def volatility_21(w: Prices) -> Floats:
    """Standard deviation (ddof 0) of the last 21 daily returns, per day."""
    out = np.full(w.close.size, np.nan)
    out[1:] = mean_std(talib.ROCP(w.close, 1)[1:], 21)[1]
    return out


@feature("volume_zscore_21", inputs=("volume",), warm_up=20, unit="sigma", across=True)
def volume_zscore_21(w: Prices) -> Floats:
    """Split-adjusted volume against its last 21 bars, this one included; 0 while it is constant."""
    mean, std = mean_std(w.volume, 21)
    return _ratio_or_zero(w.volume - mean, std)


@feature("momentum_12_1", inputs=("close",), warm_up=252, across=True)
def momentum_12_1(w: Prices) -> Floats:
    """Return from 252 to 21 bars ago: 12 months without the last (Jegadeesh, Titman 1993)."""
    out = np.full(w.close.size, np.nan)
    out[252:] = w.close[231:-21] / w.close[:-252] - 1.0
    return out


@feature("stoch_k_14", inputs=("high", "low", "close"), warm_up=13, unit="pct", across=True)
def stoch_k_14(w: Prices) -> Floats:
    """Fast %K(14), 0..100: the close within the range of 14 bars; 0 while there is no range (TA-Lib)."""
    return talib.STOCHF(w.high, w.low, w.close, 14, 1)[0]  # type: ignore[no-any-return]


def _ema(w: Prices, bars: int) -> Floats:
    return w.shared(f"ema_{bars}", lambda: w.each(lambda close: _EMA(close, bars), w.close))


def _macd(w: Prices) -> tuple[Floats, Floats, Floats]:
    lines: tuple[Floats, Floats, Floats] = w.shared(
        "macd", lambda: w.each(lambda close: _MACD(close, 12, 26, 9), w.close)
    )
    return lines


def _atr(w: Prices) -> Floats:
    return w.shared("atr_14", lambda: w.each(lambda *ranges: _ATR(*ranges, 14), w.high, w.low, w.close))


def _close_moments(w: Prices) -> tuple[Floats, Floats]:
    return w.shared("close_moments_20", lambda: mean_std(w.close, 20))


def _ratio_or_zero(numerator: Floats, spread: Floats) -> Floats:
    """numerator / spread, 0 where the spread is exactly 0; NaN of the warm-up passes through."""
    still = spread == 0.0
    if not still.any():
        return numerator / spread
    return np.divide(numerator, spread, out=np.zeros_like(spread), where=~still)
