"""A desk: the portfolios of one calendar. Backtest and live run it, session by session, strictly in order."""

import datetime as dt
from collections.abc import Callable, Sequence

import polars as pl
import structlog
from structlog.contextvars import bound_contextvars

from alphamill.domain.calendars import sessions_closed_between
from alphamill.domain.decisions import Decision
from alphamill.domain.session_bars import SessionBars
from alphamill.errors import AlphamillError
from alphamill.features.history import BarHistory
from alphamill.ports import BarListener
from alphamill.trading.lateness import Lateness
from alphamill.trading.market import Market, market_at
from alphamill.trading.newest import SessionFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader

log = structlog.get_logger(__name__)


class Desk:
    """Takes closed sessions through history, listeners, features and every portfolio, in that order.

    Parameters
    ----------
    calendar
        What all its portfolios keep.
    history
        Bars before the first session to come; the portfolios read the same object.
    features
        Refreshed at each session; a failure is logged, and the portfolios then refuse stale rows.
    listeners
        Called with the session's bars before any decision: the clock, the paper broker.
    lateness
        Says whether a session's orders can still reach its next open.
    """

    def __init__(
        self,
        *,
        calendar: str,
        history: BarHistory,
        features: SessionFeatures,
        listeners: Sequence[BarListener],
        traders: Sequence[PortfolioTrader],
        lateness: Lateness,
    ) -> None:
        self.calendar = calendar
        self.history = history
        self.traders = tuple(traders)
        self._features = features
        self._listeners = tuple(listeners)
        self._lateness = lateness
        #: Close of the newest session that history has.
        self.closed: dt.datetime | None = None
        self._missed: tuple[dt.date, ...] = ()

    @property
    def symbols(self) -> frozenset[str]:
        """The universes of its portfolios, and what they still hold of earlier ones."""
        return frozenset(symbol for trader in self.traders for symbol in trader.symbols)

    def on_session(self, bars: SessionBars | pl.DataFrame, data_version: str) -> list[Decision]:
        """Process all bars of one closed session (a frame is of `BAR_SCHEMA`); at most one decision per portfolio.

        After an error the same session may be given again: what was done of it is not done twice.
        """
        bars = SessionBars.of(bars)
        if bars.ts != self.closed:
            self._begin(bars)
        for listener in self._listeners:
            listener.on_bars(bars)
        self.refresh_features(bars.symbols)
        return self._each(lambda trader: self._decide(trader, bars.ts, data_version))

    def _begin(self, bars: SessionBars) -> None:
        self.history.append(bars)
        if self.closed is not None:
            self._missed = tuple(sessions_closed_between(self.calendar, self.closed, bars.ts))
        self.closed = bars.ts

    def _decide(self, trader: PortfolioTrader, ts: dt.datetime, data_version: str) -> Decision | None:
        with bound_contextvars(portfolio=trader.spec.name):
            return trader.on_session(self.market(trader, ts, data_version), late=self.late(trader, ts))

    def market(self, trader: PortfolioTrader, ts: dt.datetime, data_version: str) -> Market:
        """What a portfolio may see at a close, from the bars there are now."""
        return market_at(self.history, trader.symbols, ts, data_version, self._missed)

    def _each(self, work: Callable[[PortfolioTrader], Decision | None]) -> list[Decision]:
        """One portfolio's trouble does not keep the others from deciding; the first error is raised at the end."""
        decisions: list[Decision] = []
        failed: Exception | None = None
        for trader in self.traders:
            try:
                decision = work(trader)
            except Exception as error:
                log.error("portfolio failed", portfolio=trader.spec.name, error=repr(error))
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
        closes = bars["ts"].unique().sort().to_list()[-2:]
        if closes:
            self.closed = closes[-1]
            self._missed = tuple(sessions_closed_between(self.calendar, closes[0], self.closed))
        self.refresh_features(sorted(self.history.symbols))

    def amend(self, bars: pl.DataFrame) -> None:
        """Take in corrected and late bars of sessions that went by; listeners hear of those of the newest one."""
        self.history.amend(bars)
        newest = bars.filter(pl.col("ts") == self.closed)
        for listener in self._listeners if newest.height else ():
            listener.on_bars(SessionBars.of(newest))
        self.refresh_features(bars["symbol"].unique().sort().to_list())

    def late(self, trader: PortfolioTrader, close: dt.datetime) -> str | None:
        """Why orders of the session closed at `close` can no longer reach its next open, or None."""
        return self._lateness(trader.spec.universe.calendar, close)

    def refresh_features(self, symbols: Sequence[str]) -> None:
        """Bring the newest rows to where decisions read them; portfolios refuse what did not arrive."""
        try:
            self._features.refresh(self.history, symbols)
        except AlphamillError as error:
            log.error("feature refresh failed", code=error.code, detail=str(error))
