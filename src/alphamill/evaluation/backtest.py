"""Backtest: a desk over history. Only the broker, the feed and the clock differ from live."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from alphamill.domain.bars import UTC_TS
from alphamill.domain.decisions import Decision
from alphamill.domain.ledger import NavPoint
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.domain.session_bars import sessions_of
from alphamill.errors import DataUnfit
from alphamill.features.history import BarHistory
from alphamill.ports import BarListener, Books, Clock, Forecaster, Notifier, OnlineFeatures, TradingVenue
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.market import market_at
from alphamill.trading.newest import StoredFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader


@dataclass(frozen=True, slots=True)
class BacktestParts:
    """What the loop runs on. `broker` must also be among `listeners` if it lives on bars.

    `nav_points` reads the equity curve of a portfolio back from the ledger.
    """

    features: OnlineFeatures
    forecaster: Forecaster
    broker: TradingVenue
    ledger: Books
    nav_points: Callable[[str], Sequence[NavPoint]]
    clock: Clock
    notifier: Notifier
    listeners: tuple[BarListener, ...]


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What happened, in order.

    `nav_points` has one point per session, the opening one included. `decisions` hold the orders as decided;
    `orders` as they ended.
    """

    nav_points: tuple[NavPoint, ...]
    decisions: tuple[Decision, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]

    @property
    def nav(self) -> pl.DataFrame:
        """The equity curve: at, nav_usd (Float64)."""
        rows = [(point.at, float(point.nav_usd)) for point in self.nav_points]
        return pl.DataFrame(rows, schema={"at": UTC_TS, "nav_usd": pl.Float64()}, orient="row")

    @property
    def weights(self) -> pl.DataFrame:
        """Target weights by decision: at, symbol, weight."""
        rows = [(d.decided_at, s, w) for d in self.decisions for s, w in d.target_weights.items()]
        schema = {"at": UTC_TS, "symbol": pl.String(), "weight": pl.Float64()}
        return pl.DataFrame(rows, schema=schema, orient="row")


def run_backtest(
    spec: PortfolioSpec,
    bars: pl.DataFrame,
    parts: BacktestParts,
    *,
    start: dt.date,
    until: dt.date | None = None,
    data_version: str,
) -> BacktestResult:
    """Trade sessions in [start, until], knowing at each close only the bars up to it.

    Parameters
    ----------
    bars
        `BAR_SCHEMA`; rows before `start` are history, needed for the covariance window.

    Raises
    ------
    DataUnfit
        No bars before `start` or none from it on.
    """
    symbols = list(spec.universe.symbols)
    bars = bars.filter(pl.col("symbol").is_in(symbols))
    known = bars.filter(pl.col("session") < start).sort("symbol", "ts")
    ahead = bars.filter(pl.col("session").is_between(start, until or dt.date.max))
    if known.is_empty() or ahead.is_empty():
        raise DataUnfit(
            f"{known.height} bars before {start} and {ahead.height} from it on.", remedy="Choose another period."
        )
    desk, trader = wire(spec, known, parts)
    trader.open(market_at(desk.history, symbols, known["ts"].max(), data_version))  # type: ignore[arg-type]
    decisions: list[Decision] = []
    for session in sessions_of(ahead):
        decisions += desk.on_session(session, data_version)
    orders = (parts.broker.order(order.id) or order for decision in decisions for order in decision.orders)
    points, fills = parts.nav_points(spec.name), parts.broker.events(spec.name).fills
    return BacktestResult(tuple(points), tuple(decisions), tuple(orders), fills)


def wire(spec: PortfolioSpec, known: pl.DataFrame, parts: BacktestParts) -> tuple[Desk, PortfolioTrader]:
    """The desk of a backtest and its one portfolio, with the bars in `known` as history."""
    history, features = BarHistory(), StoredFeatures(parts.features)
    trader = PortfolioTrader(
        spec,
        features=features,
        forecaster=parts.forecaster,
        broker=parts.broker,
        ledger=parts.ledger,
        history=history,
        notifier=parts.notifier,
    )
    desk = Desk(
        calendar=spec.universe.calendar,
        history=history,
        features=features,
        listeners=parts.listeners,
        traders=[trader],
        lateness=lateness(parts.clock),
    )
    desk.restore(known)
    return desk, trader
