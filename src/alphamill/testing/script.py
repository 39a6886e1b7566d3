"""A few bars made by hand and the weights wanted at their closes, run through the product's own desk."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple

import polars as pl

from alphamill.domain.bars import BAR_SCHEMA, UTC_TS
from alphamill.domain.calendars import sessions
from alphamill.domain.decisions import Decision
from alphamill.domain.features import FEATURE_KEY
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.ledger import NavPoint, PortfolioRecord
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec

#: Bar number 0 is of this session, a Monday; a script of five bars spans one week.
FIRST_SESSION: Final = dt.date(2024, 3, 4)
DATA_VERSION: Final = "script"
NAME: Final = "script"

#: What a script switches off unless it asks for it: costs, buffers and every limit.
_SIZING: Final = {
    "max_weight": 1.0,
    "gross_limit": 4.0,
    "long_only": False,
    "cash_buffer_pct": 0.0,
    "min_order_usd": 0,
}
_RISK: Final = {
    "max_drawdown_pct": 100.0,
    "stop_loss_pct": 100.0,
    "max_order_notional_usd": 10**12,
    "max_turnover_pct": 10_000.0,
    "max_volume_pct": 100.0,
}
_BROKER: Final = {"commission_bps": 0.0, "slippage_bps": 0.0, "margin": True}


class Bar(NamedTuple):
    """One bar of one symbol; `low` and `high` are those of open and close unless given."""

    open: float
    close: float
    low: float | None = None
    high: float | None = None
    volume: float = 1e6
    price_factor: float = 1.0
    split_factor: float = 1.0


@dataclass(frozen=True)
class Script:
    """What the market does and what is wanted.

    Parameters
    ----------
    bars
        By symbol, one entry per session from `FIRST_SESSION` on; None where the symbol has no bar.
    targets
        By number of the bar at whose close they are sent: the whole target, a symbol not named gets 0. Bar 0 is
        history only.
    sizing, risk, broker, universe
        Fields of the portfolio's parts; limits and costs that are not named are off, margin is on.
    every_bars
        The trader itself decides, without a forecast, at every n-th bar, bar 0 counted.
    """

    bars: Mapping[str, Sequence[Bar | None]]
    targets: Mapping[int, Mapping[str, float]]
    initial_cash_usd: Decimal = Decimal(100_000)
    sizing: Mapping[str, Any] = field(default_factory=dict)
    risk: Mapping[str, Any] = field(default_factory=dict)
    broker: Mapping[str, Any] = field(default_factory=dict)
    universe: Mapping[str, Any] = field(default_factory=dict)
    every_bars: int = 1

    @cached_property
    def spec(self) -> PortfolioSpec:
        return PortfolioSpec.model_validate(
            {
                "name": NAME,
                "initial_cash_usd": self.initial_cash_usd,
                "universe": {"symbols": tuple(sorted(self.bars)), **self.universe},
                "schedule": {"every_bars": self.every_bars},
                "sizing": {**_SIZING, **self.sizing},
                "risk": {**_RISK, **self.risk},
                "broker": {**_BROKER, **self.broker},
            }
        )

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The bars as `BAR_SCHEMA`."""
        days = _days(max(map(len, self.bars.values())))
        rows = [
            _row(symbol, day, bar)
            for symbol, bars in sorted(self.bars.items())
            for day, bar in zip(days, bars, strict=False)
            if bar is not None
        ]
        return pl.DataFrame(rows, schema=BAR_SCHEMA).sort("ts", "symbol")

    @property
    def closes(self) -> list[dt.datetime]:
        """Close of every session, by number."""
        return self.frame["ts"].unique().sort().to_list()

    @property
    def schedule(self) -> dict[dt.datetime, Mapping[str, float]]:
        """`targets` by close."""
        return {self.closes[number]: weights for number, weights in self.targets.items()}


@dataclass(frozen=True)
class Played:
    """What came of a script. `nav_points[n]` is the value at the close of bar n."""

    script: Script
    fills: tuple[Fill, ...]
    orders: tuple[Order, ...]
    decisions: tuple[Decision, ...]
    nav_points: tuple[NavPoint, ...]
    record: PortfolioRecord

    def bar_of(self, fill: Fill) -> int:
        """Number of the bar at whose open it filled."""
        return [close.date() for close in self.script.closes].index(fill.filled_at.date())

    @property
    def nav_usd(self) -> list[Decimal]:
        return [point.nav_usd for point in self.nav_points]


def play(script: Script) -> Played:
    """Run a script through `Desk`, `PortfolioTrader`, ledger and paper broker, as a backtest is wired.

    Targets are sent as a person sends them (`update_target`), after the close. There is no forecast, so at every close
    the trader itself only settles, and its rules close positions.
    """
    from alphamill.adapters.memory.forecast_table import ForecastTable
    from alphamill.bootstrap import backtest_parts
    from alphamill.evaluation.backtest import wire
    from alphamill.trading.market import market_at

    spec, bars, schedule = script.spec, script.frame, script.schedule
    nothing = pl.DataFrame(schema={**FEATURE_KEY, "mean": pl.Float64(), "std": pl.Float64()})
    signature = ModelSignature("nothing", "0", ("nothing",), spec.model.horizon_bars, DATA_VERSION, "", "paper")
    features = pl.DataFrame(schema={**FEATURE_KEY, "nothing": pl.Float64()})
    parts = backtest_parts(spec, features, ForecastTable(nothing, signature))
    first, *ahead = bars.partition_by("ts", maintain_order=True)
    desk, trader = wire(spec, first, parts)
    trader.open(market_at(desk.history, trader.symbols, first["ts"][0], DATA_VERSION))
    decisions: list[Decision] = []
    for session in ahead:
        decisions += desk.on_session(session, DATA_VERSION)
        close = session["ts"][0]
        if close in schedule:
            market = market_at(desk.history, trader.symbols, close, DATA_VERSION)
            decisions.append(trader.update_target(schedule[close], market, late=desk.late(trader, close)))
    orders = [parts.broker.order(order.id) or order for decision in decisions for order in decision.orders]
    return Played(
        script=script,
        fills=parts.broker.events(spec.name).fills,
        orders=tuple(orders),
        decisions=tuple(decisions),
        nav_points=tuple(parts.nav_points(spec.name)),
        record=parts.ledger.record(spec.name),
    )


def _days(count: int) -> list[dict[str, Any]]:
    days = sessions("XNYS").filter(pl.col("session") >= FIRST_SESSION).head(count)
    return days.select("session", pl.col("close_ts").cast(UTC_TS).alias("ts")).rows(named=True)


def _row(symbol: str, day: Mapping[str, Any], bar: Bar) -> dict[str, Any]:
    edges = (bar.open, bar.close)
    return {
        **bar._asdict(),
        **day,
        "symbol": symbol,
        "low": min(edges) if bar.low is None else bar.low,
        "high": max(edges) if bar.high is None else bar.high,
        "source": "script",
        "ingested_at": day["ts"],
    }
