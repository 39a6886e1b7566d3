"""The floor of an event backtest: a loop over sessions, arrays over names, floats for money, and nothing recorded.

It knows one strategy: every n-th bar the k best forecasts get the same weight, in whole shares of the close, filled at
the next open, sells before buys. No splits, no limits, no cash account to be cut: it stops when cash falls below zero.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.portfolios import PortfolioSpec

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """Arrays of shape [sessions, names], names in the order of the alphabet. NaN where no forecast is due."""

    open: Array
    close: Array
    mean: Array


def panel(bars: pl.DataFrame, forecasts: pl.DataFrame) -> Panel:
    """Arrays of bars without gaps, and of forecasts (symbol, ts, mean) where there are any."""
    rows = bars.join(forecasts, on=["symbol", "ts"], how="left").sort("ts", "symbol")
    names = bars["symbol"].n_unique()
    return Panel(*(rows[column].to_numpy().reshape(-1, names) for column in ("open", "close", "mean")))


def trade(spec: PortfolioSpec, market: Panel, first: int) -> tuple[float, int]:
    """Equity at the last close, and how many fills there were. Trades sessions from number `first` on."""
    every, k = spec.schedule.every_bars, spec.sizing.top_k
    slippage, commission = spec.broker.slippage_bps / 1e4, spec.broker.commission_bps / 1e4
    part = (1 - spec.sizing.cash_buffer_pct / 100) / k
    cash, shares, orders, fills = float(spec.initial_cash_usd), np.zeros(market.open.shape[1]), None, 0
    for t in range(first, len(market.open)):
        if orders is not None:
            price = market.open[t] * (1 + np.sign(orders) * slippage)
            notional = orders * price
            cash -= notional.sum() + np.abs(notional).sum() * commission
            if cash < 0:
                raise ValueError(f"cash is {cash:.2f} after session {t}")
            shares, fills, orders = shares + orders, fills + int(np.count_nonzero(orders)), None
        nav = cash + shares @ market.close[t]
        if (t + 1) % every == 0:
            orders = _orders(market, t, shares, nav, part, k)
    return nav, fills


def _orders(market: Panel, t: int, shares: Array, nav: float, part: float, k: int) -> Array:
    close = market.close[t]
    best = np.argsort(-market.mean[t], kind="stable")[:k]
    weight = np.zeros_like(shares)
    weight[best] = 1 / k
    target = np.zeros_like(shares)
    target[best] = np.floor(nav * part / close[best])
    change = target - shares
    return np.where(change * (weight - shares * close / nav) > 0, change, 0.0)
