"""The live path: accept a bar, make it durable, close sessions, wake the loop, recover after a restart."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import polars as pl
import structlog

from alphamill.domain.bars import BAR_KEY, BAR_VALUES
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.events import BarsAppended
from alphamill.domain.ledger import PortfolioRecord
from alphamill.errors import NotFound, UnknownSymbol
from alphamill.ports import BarJournal, BarStore, Clock, Ledger
from alphamill.trading.loop import TradingLoop
from alphamill.trading.market import Market, market_at
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.sessions import closed_sessions

#: Checks one batch of raw bars and gives normalised ones; raises `InvalidBar` naming field and rule.
BarDoor = Callable[[pl.DataFrame], pl.DataFrame]

log = structlog.get_logger(__name__)


class LiveTrading:
    """What the controller process does between its HTTP door and the trading loop.

    One lock guards everything that reads or moves the cursor, so events, ticks and requests may come from any thread.
    """

    def __init__(
        self,
        *,
        door: BarDoor,
        journal: BarJournal,
        store: BarStore,
        loop: TradingLoop,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self._door = door
        self._journal = journal
        self._store = store
        self._loop = loop
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self.specs = tuple(controller.spec for controller in loop.controllers)
        self.universe = self._traded()
        self._grace = dt.timedelta(seconds=max(spec.schedule.grace_secs for spec in self.specs))
        self._cursor = self._merged = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._stale = self._untidy = False
        self._merged_at: float | None = None
        self._data_version = "bars@none"

    def accept(self, raw: pl.DataFrame) -> pl.DataFrame:
        """Validate bars of `RAW_BAR_SCHEMA` and journal them; when this returns they survive a crash.

        Raises
        ------
        UnknownSymbol
            No portfolio trades this symbol.
        InvalidBar
            A rule of `alphamill.validation` is broken; nothing of the batch is stored.
        StoreUnavailable
            The journal did not take the batch; nothing is acknowledged.
        """
        bars = self._door(raw)
        unknown = sorted(set(bars["symbol"]) - self.universe)
        if unknown:
            raise UnknownSymbol(
                f"{', '.join(unknown)} is traded by no portfolio.",
                field="symbol",
                remedy=f"Known symbols: {', '.join(sorted(self.universe))}.",
            )
        self._journal.append(bars)
        return bars

    def start(self) -> None:
        """Recover: load history up to what was settled, open new portfolios, send what was committed but not sent.

        Nothing is sent for a portfolio whose ledger and broker disagree.
        """
        with self._lock:
            settled = [controller.recall() for controller in self._loop.controllers]
            self.universe = self._traded()
            bars, self._merged = self._read_all()
            if bars.is_empty():
                raise NotFound("the bars table is empty.", remedy="Run `alphamill ingest` first.")
            self._cursor = min((at for at in settled if at is not None), default=self._merged)
            if self._merged > self._cursor:
                # Merged, but the process died before the loop saw it: no event will come for it again.
                self._merged_at = time.monotonic()
            self._load(bars)
            for controller in self._loop.controllers:
                controller.open(self._market(controller))
                controller.adjust(self._market(controller))
                controller.agreement.holds(self._ledger.load(controller.spec))
                controller.send_committed(partial(self._loop.late, controller))
                if controller.decides_again(self._cursor):
                    controller.on_session(self._market(controller), late=self._loop.late(controller, self._cursor))

    def close_sessions(self) -> list[BarsAppended]:
        """Merge every session that is complete into the bars table; one event per session."""
        with self._lock:
            sessions = closed_sessions(
                self._journal.pending(),
                expected=self._expected,
                merged=self._merged,
                now=self._clock.now(),
                grace=self._grace,
            )
            events = [self._merge(session) for session in sessions]
            self._reload_if_stale()
            return events

    def _merge(self, session: pl.DataFrame) -> BarsAppended:
        ts = session["ts"][0]
        if ts <= self._cursor:
            # Noted before the merge: should the journal fail after it, the next round still reloads.
            self._note_correction(session)
        version = self._store.append(session)
        self._untidy = True
        # Before the journal is told: its answer may be lost, and then nothing would say again that a session waits.
        self._merged = max(self._merged, ts)
        self._merged_at = self._merged_at or time.monotonic()
        self._journal.mark_merged(session)
        return BarsAppended(session=session["session"][0], symbols=tuple(session["symbol"]), version=str(version))

    def _note_correction(self, session: pl.DataFrame) -> None:
        """Whether bars of a settled session change history."""
        day = session["session"][0]
        stored = self._store.read(start=day, until=day)
        columns = [*BAR_KEY, *BAR_VALUES]
        changed = session.select(columns).join(stored.select(columns), on=columns, how="anti")
        self._stale |= changed.height > 0

    def _reload_if_stale(self) -> None:
        if not self._stale:
            return
        log.warning("history is read again: old bars were corrected, or a session failed; no decision is redone")
        self._load(self._read_all()[0])
        for controller in self._loop.controllers:
            controller.adjust(self._market(controller))
        self._stale = False

    def process(self) -> list[Decision]:
        """Run every merged session after the cursor through the loop, in order.

        When one fails, the next call begins with history as of the cursor and tries the session again.
        """
        with self._lock:
            try:
                return self._process()
            except Exception:
                self._stale = True
                raise

    def _process(self) -> list[Decision]:
        self._reload_if_stale()
        version = self._store.version()
        bars = self._store.read(symbols=sorted(self.universe), start=self._cursor.date(), version=version)
        bars = bars.filter(pl.col("ts") > self._cursor)
        self._data_version = f"bars@{version}"
        decisions = []
        for session in bars.sort("ts", "symbol").partition_by("ts", maintain_order=True):
            decisions += self._loop.on_session(session, self._data_version)
            self._cursor = session["ts"][0]
        self._merged_at = None
        return decisions

    def tidy(self) -> None:
        """Let the bar store put itself in order after merges; to be called when nothing waits."""
        if self._untidy:
            self._store.tidy()
            self._untidy = False

    def now(self) -> dt.datetime:
        """What the loop's clock says."""
        return self._clock.now()

    def records(self) -> list[PortfolioRecord]:
        """Every portfolio as the ledger knows it."""
        return [self._ledger.load(spec) for spec in self.specs]

    @property
    def behind_secs(self) -> float:
        """For how long a merged session has been waiting to be processed; 0 if none is."""
        return 0.0 if self._merged_at is None else time.monotonic() - self._merged_at

    def enforce_states(self) -> None:
        """Cancel what a halt or a reduction forbids, and finish what was committed but not sent."""
        failed: Exception | None = None
        with self._lock:
            for controller in self._loop.controllers:
                try:
                    controller.send_committed(partial(self._loop.late, controller))
                except Exception as error:
                    log.error("state not enforced", portfolio=controller.spec.name, error=repr(error))
                    failed = failed or error
        if failed is not None:
            raise failed

    def disagreements(self) -> list[str]:
        """Why ledger and broker disagree, each with its portfolio; asked again where they did."""
        with self._lock:
            found = [c for c in self._loop.controllers if c.agreement.differences]
            for controller in found:
                controller.agreement.holds(self._ledger.load(controller.spec))
            return [f"{c.spec.name}: {difference}" for c in found for difference in c.agreement.differences]

    def update_target(self, portfolio: str | None, weights: Mapping[str, float]) -> Decision:
        """Set a manual target for one portfolio (the first one if None); see `PortfolioTrader.update_target`."""
        controller = self.controller(portfolio)
        with self._lock:
            self._reload_if_stale()
            late = self._loop.late(controller, self._cursor)
            return controller.update_target(weights, self._market(controller), late=late)

    def set_state(self, portfolio: str, state: TradingState, reason: str) -> None:
        """Written at once, whatever the loop is doing; the next round cancels what the new state forbids."""
        self._ledger.set_state(self.controller(portfolio).spec.name, state, reason, dt.datetime.now(dt.UTC))

    def controller(self, portfolio: str | None) -> PortfolioTrader:
        """The controller of a portfolio by name; `NotFound` lists the names there are."""
        for controller in self._loop.controllers:
            if portfolio in (None, controller.spec.name):
                return controller
        names = ", ".join(controller.spec.name for controller in self._loop.controllers)
        raise NotFound(f"no portfolio {portfolio!r}.", field="portfolio", remedy=f"There are: {names}.")

    @property
    def cursor(self) -> dt.datetime:
        """Close of the newest session that was processed."""
        return self._cursor

    def _read_all(self) -> tuple[pl.DataFrame, dt.datetime]:
        version = self._store.version()
        bars = self._store.read(symbols=sorted(self.universe), version=version) if version >= 0 else pl.DataFrame()
        self._data_version = f"bars@{version}"
        return bars, bars["ts"].max() if bars.height else self._cursor  # type: ignore[return-value]

    def _load(self, bars: pl.DataFrame) -> None:
        known = bars.filter(pl.col("ts") <= self._cursor)
        self._loop.restore(known)

    def _market(self, controller: PortfolioTrader) -> Market:
        return market_at(self._loop.history, controller.symbols, self._cursor, self._data_version)

    def _expected(self, close: dt.datetime) -> frozenset[str]:
        return frozenset(symbol for controller in self._loop.controllers for symbol in controller.expected(close))

    def _traded(self) -> frozenset[str]:
        return frozenset(symbol for controller in self._loop.controllers for symbol in controller.symbols)
