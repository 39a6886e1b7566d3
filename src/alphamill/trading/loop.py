"""The loop all runtimes share: a closed session goes through features, listeners and controllers, in that order."""

import datetime as dt
from collections.abc import Callable, Sequence

import polars as pl
import structlog

from alphamill.domain.decisions import Decision
from alphamill.domain.session_bars import SessionBars
from alphamill.errors import AlphamillError
from alphamill.features.history import BarHistory
from alphamill.ports import BarListener
from alphamill.trading.lateness import Lateness
from alphamill.trading.market import market_at
from alphamill.trading.portfolio_trader import PortfolioTrader

#: Brings the newest feature rows of the given symbols to where the controllers read them.
FeatureRefresh = Callable[[BarHistory, Sequence[str]], None]

log = structlog.get_logger(__name__)


class TradingLoop:
    """Feeds closed sessions, strictly in order, to every portfolio.

    Parameters
    ----------
    history
        Bars before the first session to come; the controllers read the same object.
    refresh
        Updates the feature store from the history; a failure is logged, and the controllers then refuse stale rows.
    listeners
        Called with the session's bars before any decision: the clock, the paper broker.
    lateness
        Says whether a session's orders can still reach its next open.
    """

    def __init__(
        self,
        *,
        history: BarHistory,
        refresh: FeatureRefresh,
        listeners: Sequence[BarListener],
        controllers: Sequence[PortfolioTrader],
        lateness: Lateness,
    ) -> None:
        self.history = history
        self.controllers = tuple(controllers)
        self._refresh = refresh
        self._listeners = tuple(listeners)
        self._lateness = lateness

    def on_session(self, bars: SessionBars | pl.DataFrame, data_version: str) -> list[Decision]:
        """Process all bars of one closed session (a frame is of `BAR_SCHEMA`); at most one decision per portfolio."""
        bars = SessionBars.of(bars)
        ts = bars.ts
        self.history.append(bars)
        for listener in self._listeners:
            listener.on_bars(bars)
        self.refresh_features(bars.symbols)
        decisions = []
        failed: Exception | None = None
        for controller in self.controllers:
            market = market_at(self.history, controller.symbols, ts, data_version)
            try:
                decision = controller.on_session(market, late=self.late(controller, ts))
            except Exception as error:
                # One portfolio's trouble does not keep the others from deciding; who decided is not asked twice.
                log.error("portfolio failed", portfolio=controller.spec.name, error=repr(error))
                failed = failed or error
                continue
            if decision is not None:
                decisions.append(decision)
        if failed is not None:
            raise failed
        return decisions

    def restore(self, bars: pl.DataFrame) -> None:
        """Start again from stored bars; listeners that only need to know the time are told the newest session."""
        self.history.replace(bars)
        newest = bars.filter(pl.col("ts") == pl.col("ts").max())
        for listener in self._listeners if newest.height else ():
            listener.on_bars(SessionBars.of(newest))
        self.refresh_features(sorted(self.history.symbols))

    def late(self, controller: PortfolioTrader, close: dt.datetime) -> str | None:
        """Why orders of the session closed at `close` can no longer reach its next open, or None."""
        return self._lateness(controller.spec.universe.calendar, close)

    def refresh_features(self, symbols: Sequence[str]) -> None:
        """Bring the newest rows to the feature store; controllers refuse what did not arrive."""
        try:
            self._refresh(self.history, symbols)
        except AlphamillError as error:
            log.error("feature refresh failed", code=error.code, detail=str(error))
