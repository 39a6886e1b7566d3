"""One desk that follows the bars table: what it has read, which session it processed last, what waits."""

import datetime as dt
import time
from collections.abc import Callable
from functools import partial

import polars as pl
import structlog

from alphamill.domain.bars import BAR_KEY, data_version, empty_bars
from alphamill.domain.decisions import Decision
from alphamill.errors import NotFound
from alphamill.monitoring.alerts import Alert
from alphamill.ports import BarStore
from alphamill.trading.corrections import corrected, correction_alert
from alphamill.trading.desk import Desk
from alphamill.trading.market import Market
from alphamill.trading.portfolio_trader import PortfolioTrader

log = structlog.get_logger(__name__)


class Follower:
    """Brings a desk from one version of the bars table to the next.

    Attributes
    ----------
    version
        Of the bars table, read last: what decisions name as the data they were made on.
    cursor
        Close of the newest session that was processed.
    """

    def __init__(self, desk: Desk, tell: Callable[[Alert], object]) -> None:
        self.desk = desk
        self.version = -1
        self.cursor = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._tell = tell
        self._waiting = empty_bars()
        self._untold = empty_bars()
        self._waits_since: float | None = None

    @property
    def data_version(self) -> str:
        return data_version(self.version)

    @property
    def behind_secs(self) -> float:
        """For how long a session that was read has been waiting to be processed; 0 if none is."""
        return 0.0 if self._waits_since is None else time.monotonic() - self._waits_since

    def open(self, store: BarStore, version: int, now: dt.datetime) -> None:
        """Recover: history up to what was settled, then what was committed and not sent.

        Nothing is sent for a portfolio whose ledger and broker disagree.

        Raises
        ------
        NotFound
            The table has no bars of this desk's symbols.
        """
        settled = [trader.recall(now) for trader in self.desk.traders]
        bars = store.read(symbols=sorted(self.desk.symbols), version=version) if version >= 0 else empty_bars()
        if bars.is_empty():
            what = f"the bars table is empty for calendar {self.desk.calendar}."
            raise NotFound(what, remedy="Run `alphamill ingest` first.")
        newest: dt.datetime = bars["ts"].max()  # type: ignore[assignment]
        self.version, self.cursor = version, min((at for at in settled if at is not None), default=newest)
        self.desk.restore(bars.filter(pl.col("ts") <= self.cursor))
        self._wait(bars.filter(pl.col("ts") > self.cursor))
        for trader, at in zip(self.desk.traders, settled, strict=True):
            # The venue may have seen what waits: a split among it is in its positions then, not in the ledger.
            trader.agreement.behind = at is not None and at < newest
            trader.open(self.market(trader))
            trader.adjust(self.market(trader))
            trader.compare()
            trader.send_committed(partial(self.desk.late, trader))
            if trader.decides_again(self.cursor):
                trader.on_session(self.market(trader), late=self.desk.late(trader, self.cursor))

    def take(self, changed: pl.DataFrame, version: int) -> None:
        """Take in what is different in `version`; see `corrections` for what becomes of bars of settled sessions."""
        own = changed.filter(pl.col("symbol").is_in(self.desk.symbols))
        behind = own.filter(pl.col("ts") <= max(self.cursor, self.desk.closed or self.cursor))
        self._wait(own.filter(pl.col("ts") > self.cursor))
        if not behind.is_empty():
            self._untold = pl.concat([self._untold, corrected(self.desk.history, behind)], how="diagonal")
            self.desk.amend(behind)
            self._after_amendment(version)
        self.version = version

    def _after_amendment(self, version: int) -> None:
        """Books and alert; what fails here is done again with the same rows at the next look."""
        data = data_version(version)
        for trader in self.desk.traders:
            trader.adjust(self.desk.market(trader, self.cursor, data))
        held = {symbol for trader in self.desk.traders for symbol in trader.held()}
        others = self._untold.filter(pl.col("ts") <= self.cursor)
        alert = correction_alert(others, held, data)
        self._untold = self._untold.clear()
        if alert is not None:
            log.warning("settled bars were corrected; no decision is redone", bars=others.height)
            self._tell(alert)

    def _wait(self, bars: pl.DataFrame) -> None:
        if bars.is_empty():
            return
        self._waiting = pl.concat([self._waiting, bars]).unique(BAR_KEY, keep="last").sort("ts", "symbol")
        self._waits_since = self._waits_since or time.monotonic()

    def work(self) -> list[Decision]:
        """Every session that waits, in order; after an error the next call begins with the same session."""
        decisions: list[Decision] = []
        for session in self._waiting.partition_by("ts", maintain_order=True):
            decisions += self.desk.on_session(session, self.data_version)
            self.cursor = session["ts"][0]
            self._waiting = self._waiting.filter(pl.col("ts") > self.cursor)
        self._waits_since = None
        return decisions

    def market(self, trader: PortfolioTrader) -> Market:
        """What the portfolio sees at the newest session that was processed."""
        return self.desk.market(trader, self.cursor, self.data_version)
