"""The trader behind the look-ahead check: what it decides, sends and fills up to a cut."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import polars as pl

from alphamill.bootstrap import backtest_parts
from alphamill.domain.bars import UTC_TS
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecasts, ModelSignature
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.domain.signature import feature_matrix, to_forecasts
from alphamill.evaluation.backtest import BacktestParts, BacktestResult, run_backtest
from alphamill.features import compute
from alphamill.ports import TradingVenue

#: Sessions traded up to each cut, at least, and days that the run may go on after it.
TRADED_SESSIONS: Final = 20
DAYS_AFTER: Final = 7


class SensitiveForecaster:
    """A forecaster of no merit whose answer moves with every digit of every feature."""

    def __init__(self, signature: ModelSignature) -> None:
        self._signature = signature

    def signature(self) -> ModelSignature:
        return self._signature

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> Forecasts:
        values = feature_matrix(self._signature, snapshots).astype(np.float64)
        mean = 0.03 * np.sin(1_000.0 * values / (1.0 + np.abs(values))).mean(axis=1)
        return to_forecasts(self._signature, snapshots, mean, np.full(len(snapshots), 0.03))


@dataclass
class Decisions:
    """The trader over the sessions before a cut: what it decided, sent and held.

    Orders and fills on `full`, the real bars, are kept for `check_fills`.
    """

    spec: PortfolioSpec
    features: tuple[str, ...]
    full: pl.DataFrame
    wire: Callable[[BacktestParts], BacktestParts] = lambda parts: parts
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)

    def __call__(self, bars: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        closes = bars.filter(pl.col("ts") <= cut)["session"].unique().sort()
        traded = max(TRADED_SESSIONS, 2 * self.spec.schedule.every_bars)
        result = run_backtest(
            self.spec,
            bars,
            self._parts(bars),
            start=closes[max(0, len(closes) - traded)],
            until=cut.date() + dt.timedelta(days=DAYS_AFTER),
            data_version="check",
        )
        if bars is self.full:  # the others were traded on prices that never were
            self.orders += result.orders
            self.fills += result.fills
        return decision_rows(result)

    def _parts(self, bars: pl.DataFrame) -> BacktestParts:
        signature = ModelSignature("check", "0", self.features, self.spec.model.horizon_bars, "check", "", "paper")
        parts = backtest_parts(self.spec, compute(bars, self.features), SensitiveForecaster(signature))
        return self.wire(parts)


def decision_rows(result: BacktestResult) -> pl.DataFrame:
    """Per decision and symbol: forecast, signal or why there is none, target weight, order; NAV beside them."""
    rows = []
    for decision in result.decisions:
        forecasts = {forecast.symbol: forecast.mean for forecast in decision.forecasts}
        orders = {o.symbol: f"{o.side.value} {o.quantity:f} at {o.reference_price:f}" for o in decision.orders}
        refused = {refusal.symbol: f"none, {refusal.code}: {refusal.detail}" for refusal in decision.refusals}
        for symbol in sorted({*decision.prices, *refused}):
            signal = decision.signals.get(symbol)
            says = refused.get(symbol, signal.value if signal else None)
            weight = decision.target_weights.get(symbol)
            rows.append(
                (symbol, decision.decided_at, forecasts.get(symbol), says, weight,
                 orders.get(symbol), f"{decision.nav_usd:f}")
            )  # fmt: skip
    text = pl.String()
    schema = {
        "symbol": text, "ts": UTC_TS, "forecast": pl.Float64(), "signal": text,
        "target weight": pl.Float64(), "order": text, "NAV": text,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def with_broker(parts: BacktestParts, broker: TradingVenue) -> BacktestParts:
    """The same backtest with another broker."""
    return replace(parts, broker=broker, listeners=(parts.listeners[0],))
