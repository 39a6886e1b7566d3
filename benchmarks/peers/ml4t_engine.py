"""The second engine: ml4t-backtest on our bars, our target weights and our costs, answering in our types.

Tests of the scenario matrix and the benchmark of the event backtest share this module. The schedule's sizing is the
strategy's part and stands here (whole steps of a share, rounded toward zero, as `execution.propose_orders` does it);
when an order fills, at what price, what it costs, and what a stop does is the engine's own code.

How its options answer to ours:

- `NEXT_BAR`: what is decided at a close fills at the next bar's open; exits first, as our sells.
- `StopFillMode.NEXT_BAR_OPEN`: an exit that is hit closes the position at the next open, as ours. It looks at the low
  and the high of the bar, ours at the close, and never at the bar of the entry itself: bars whose extremes and closes
  cross a level together compare. A trailing stop follows the best close (`WaterMarkSource.CLOSE`), as ours.
- margin: `skip_cash_validation`, since our margin account asks for no collateral. Without margin: a cash account.
- It knows no splits, no dividends and no delisting.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.orders import Fill, Side
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec
from alphamill.errors import InvalidConfig

#: What is wanted at a close: weights by symbol, fractions of NAV. A held symbol that is not named is sold.
Schedule = Mapping[dt.datetime, Mapping[str, float]]

#: 299.99999999999994 shares are 300: floats miss a whole number by less than this.
_FLOAT_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class PeerRun:
    """Fills in the order they happened (`filled_at` is the close of the fill's session) and at, nav_usd by session."""

    fills: tuple[Fill, ...]
    nav: pl.DataFrame


def peer_engine(spec: PortfolioSpec, bars: pl.DataFrame, schedule: Schedule) -> Any:
    """An `Engine` ready to `run()`; `bars` are of `BAR_SCHEMA`, factors are ignored."""
    from ml4t.backtest import DataFeed, Engine

    feed = DataFeed(prices_df=bars.select(pl.col("ts").alias("timestamp"), "symbol", *_PRICES).sort("timestamp"))
    return Engine(feed, _strategy(spec, schedule), _config(spec), execution_limits=_limits(spec.broker))


def peer_run(engine: Any) -> PeerRun:
    """Run it, and say in our types what it did."""
    result = engine.run()
    fills = tuple(_fill(number, fill) for number, fill in enumerate(result.fills))
    nav = pl.DataFrame(result.equity_curve, schema={"at": UTC_TS, "nav_usd": pl.Float64()}, orient="row")
    return PeerRun(fills, nav)


_PRICES = ("open", "high", "low", "close", "volume")


def _strategy(spec: PortfolioSpec, schedule: Schedule) -> Any:
    from ml4t.backtest import Strategy

    part, steps = 1 - spec.sizing.cash_buffer_pct / 100, int(1 / spec.broker.share_step)

    class TargetWeights(Strategy):  # type: ignore[misc, unused-ignore]
        def on_start(self, broker: Any) -> None:
            rules = _position_rules(spec)
            if rules is not None:
                broker.set_position_rules(rules)

        def on_data(self, timestamp: Any, data: Any, context: Any, broker: Any) -> None:
            weights = schedule.get(timestamp)
            if weights is None:
                return
            for order in broker.get_pending_orders():  # a new target replaces what is left of the last one
                broker.cancel_order(order.order_id)
            nav, changes = broker.get_account_value(), []
            for symbol in sorted({*weights, *broker.positions}):
                if symbol not in data:
                    continue
                position, price = broker.positions.get(symbol), data[symbol]["close"]
                held = position.quantity if position else 0.0
                weight = weights.get(symbol, 0.0)
                change = toward_zero(weight * nav * part / price, steps) - held
                if change * (weight - held * price / nav) > 0:  # the buffer alone sells nothing
                    changes.append((symbol, change))
            for symbol, change in sorted(changes, key=lambda item: item[1] > 0):
                broker.submit_order(symbol, change)

    return TargetWeights()


def toward_zero(quantity: float, steps: int) -> float:
    """Shares in whole steps, of which one share has so many."""
    whole = int(abs(quantity) * steps + _FLOAT_NOISE) / steps
    return whole if quantity > 0 else -whole


def _position_rules(spec: PortfolioSpec) -> Any:
    """The exits of the portfolio, in the order ours run; a stop-loss of 100 % stands for none."""
    from ml4t.backtest.risk import RuleChain, StopLoss, TakeProfit, TrailingStop

    risk = spec.risk
    rules: list[Any] = [StopLoss(risk.stop_loss_pct / 100)] if risk.stop_loss_pct < 100 else []
    if risk.take_profit_pct is not None:
        rules.append(TakeProfit(risk.take_profit_pct / 100))
    if risk.trailing_stop_pct is not None:
        rules.append(TrailingStop(risk.trailing_stop_pct / 100))
    return RuleChain(rules) if rules else None


def _config(spec: PortfolioSpec) -> Any:
    from ml4t.backtest import BacktestConfig, ExecutionMode
    from ml4t.backtest.config import ShareType, WaterMarkSource
    from ml4t.backtest.types import StopFillMode

    broker = spec.broker
    return BacktestConfig(
        initial_cash=float(spec.initial_cash_usd),
        execution_mode=ExecutionMode.NEXT_BAR,
        stop_fill_mode=StopFillMode.NEXT_BAR_OPEN,
        trail_hwm_source=WaterMarkSource.CLOSE,
        share_type=ShareType.INTEGER if broker.share_step == 1 else ShareType.FRACTIONAL,
        allow_short_selling=broker.margin,
        allow_leverage=broker.margin,
        skip_cash_validation=broker.margin,
        partial_fills_allowed=True,
        **_commission(broker),
        **_slippage(broker),
    )


def _commission(broker: BrokerRef) -> dict[str, Any]:
    """Of the notional, or per share with a minimum; it cannot do both."""
    from ml4t.backtest.config import CommissionType

    per_share, minimum = float(broker.commission_usd_per_share), float(broker.commission_min_usd)
    if not (per_share or minimum):
        return {"commission_type": CommissionType.PERCENTAGE, "commission_rate": broker.commission_bps / 10_000}
    if broker.commission_bps:
        raise InvalidConfig("the second engine charges per share or per notional.", field="commission_bps")
    charged = {"commission_per_share": per_share, "commission_minimum": minimum}
    return {"commission_type": CommissionType.PER_SHARE, **charged}


def _slippage(broker: BrokerRef) -> dict[str, Any]:
    """Of the open, or so much a share; it cannot do both."""
    from ml4t.backtest.config import SlippageType

    per_share = float(broker.slippage_usd_per_share)
    if not per_share:
        return {"slippage_type": SlippageType.PERCENTAGE, "slippage_rate": broker.slippage_bps / 10_000}
    if broker.slippage_bps:
        raise InvalidConfig("the second engine slips per share or per notional.", field="slippage_bps")
    return {"slippage_type": SlippageType.FIXED, "slippage_fixed": per_share}


def _limits(broker: BrokerRef) -> Any:
    """At most a part of the bar's volume fills; the rest waits for the next open, as ours."""
    from ml4t.backtest.execution import VolumeParticipationLimit

    percent = broker.max_participation_pct
    return None if percent is None else VolumeParticipationLimit(max_participation=percent / 100)


def _fill(number: int, fill: Any) -> Fill:
    return Fill(
        id=f"peer_{number}",
        order_id=fill.order_id,
        symbol=fill.asset,
        side=Side(fill.side.value),
        quantity=Decimal(repr(float(fill.quantity))),
        price=Decimal(repr(float(fill.price))),
        commission_usd=Decimal(repr(float(fill.commission))),
        filled_at=fill.timestamp,
    )
