"""The trader's rounds: hold the lease, look at what is new, decide, send, say how it stands."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import structlog

from alphamill.domain.events import BARS_APPENDED, PORTFOLIO_CHANGED
from alphamill.errors import AlphamillError, EventBusUnavailable, Fenced, Unavailable
from alphamill.monitoring import Metrics
from alphamill.ports import Clock, EventBus, Grant, Lease, StatusBoard
from alphamill.trading.trader import Trader

#: How long to wait for work when nothing wakes it; also how fast a halt cancels open orders.
TICK_SECS: Final = 1.0

log = structlog.get_logger(__name__)


class Trading(Protocol):
    """A trader with everything it holds, for as long as one grant of the lease lasts."""

    trader: Trader

    def close(self) -> None: ...


class TradingLoop:
    """Runs one trader while this process holds the lease, and stands by while another one does.

    Parameters
    ----------
    make
        Builds a trader for a grant. Called when the lease was won, not before: a standby opens no broker.
    holder
        What this process is called in the lease; nobody else may be called so.
    ttl_secs
        How long the lease lasts without being renewed.
    missing
        What else stands in the way of trading, in words, asked once a round: a forecaster that is not there.
    """

    def __init__(
        self,
        make: Callable[[Grant], Trading],
        *,
        lease: Lease,
        holder: str,
        ttl_secs: float,
        bus: EventBus,
        board: StatusBoard,
        clock: Clock,
        metrics: Metrics,
        missing: Callable[[], list[str]] = list,
    ) -> None:
        self._make, self._lease, self._holder = make, lease, holder
        self._missing = missing
        self._ttl_secs, self._bus, self._board, self._clock, self._metrics = ttl_secs, bus, board, clock, metrics
        self._wake = asyncio.Event()
        self._trading: Trading | None = None
        self._grant: Grant | None = None
        self._task: asyncio.Task[None] | None = None
        self._renewal: threading.Thread | None = None
        self._over = threading.Event()
        self._seat = threading.RLock()
        self._answer: Grant | None = None
        self._asked_at = self._rests_until = 0.0
        self._bus_started = self._bus_told = False
        self._rounds = 0

    @property
    def acting(self) -> bool:
        """Whether this process holds the lease and trades."""
        return self._trading is not None

    @property
    def rounds(self) -> int:
        """How many rounds ended, well or not."""
        return self._rounds

    async def start(self) -> None:
        """Join the bus and begin. A bus that is down is joined later."""
        for topic in (BARS_APPENDED, PORTFOLIO_CHANGED):
            self._bus.subscribe(topic, self._woken)
        await self._join_bus()
        self._renewal = threading.Thread(target=self._renew, name="lease-renewal", daemon=True)
        self._renewal.start()
        self._task = asyncio.create_task(self._run(), name="trading-loop")

    async def stop(self) -> None:
        """Finish the round in hand, give the lease back, leave the bus."""
        self._over.set()
        self._wake.set()
        if self._task is not None:
            # Not cancelled: its thread would go on without it, over connections that are being closed.
            await self._task
        await asyncio.to_thread(self._give_back)
        if self._bus_started:
            with contextlib.suppress(EventBusUnavailable):
                await self._bus.stop()

    async def _woken(self, message: dict[str, Any]) -> None:
        self._wake.set()

    async def _run(self) -> None:
        while not self._over.is_set():
            await asyncio.to_thread(self._round)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_SECS)
            self._wake.clear()
            if not self._bus_started:
                await self._join_bus()

    def _round(self) -> None:
        """One look at everything. Nothing that goes wrong in it may stop the next one."""
        self._guarded(self._take_the_seat)
        for work in (self._enforce, self._decide_targets, self._advance, self._speak):
            if self._trading is not None:
                self._guarded(partial(work, self._trading))
        self._rounds += 1

    def _take_the_seat(self) -> None:
        if time.monotonic() < self._rests_until:
            return
        grant = self._ask()
        if self._trading is not None and (grant is None or self._grant is None or grant.token != self._grant.token):
            log.warning("the lease was lost; another trader may act", holder=self._holder)
            self._leave()
        if grant is None or self._trading is not None:
            return
        self._grant = grant  # renewed from here on: to recover may take longer than the lease lasts
        try:
            self._trading = self._make(grant)
        except Exception:
            # Another one may be able to do what this one cannot.
            self._rests_until = time.monotonic() + 2 * self._ttl_secs
            self._give_back()
            raise
        log.info("trading", holder=self._holder, token=grant.token)

    def _ask(self) -> Grant | None:
        """The lease as it was granted; asked for anew once the last answer is a third of its life old."""
        with self._seat:
            if self._answer is None or time.monotonic() - self._asked_at > self._ttl_secs / 3:
                self._answer = self._lease.acquire(self._holder)
                self._asked_at = time.monotonic()
            return self._answer

    def _leave(self) -> None:
        trading, self._trading, self._grant, self._answer = self._trading, None, None, None
        if trading is not None:
            trading.close()

    def _give_back(self) -> None:
        with self._seat:  # not while it is being renewed: that would take it again
            grant = self._grant
            self._leave()
            if grant is not None:
                with contextlib.suppress(AlphamillError):
                    self._lease.release(grant)

    def _renew(self) -> None:
        """A long round must not cost the lease: it is renewed from a thread of its own while the process runs."""
        while not self._over.wait(self._ttl_secs / 6):
            with self._seat, contextlib.suppress(Unavailable):
                if self._grant is not None:
                    self._ask()

    def _enforce(self, trading: Trading) -> None:
        trading.trader.enforce_states()

    def _decide_targets(self, trading: Trading) -> None:
        for decision in trading.trader.decide_targets():
            self._metrics.on_decision(decision, at=self._clock.now())

    def _advance(self, trading: Trading) -> None:
        started = time.monotonic()
        decisions = trading.trader.advance()
        for decision in decisions:
            self._metrics.on_decision(decision, at=self._clock.now())
            self._metrics.decision_secs.observe((time.monotonic() - started) / len(decisions))

    def _speak(self, trading: Trading) -> None:
        """Say how every portfolio stands: in the metrics of this process, and where other processes read it."""
        missing = self._missing()
        for status in trading.trader.statuses(self._clock.now(), self._holder):
            self._board.post(replace(status, reasons=(*status.reasons, *missing)))
        for record in trading.trader.records():
            self._metrics.on_record(record)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Fenced as error:
            log.warning("another trader has the lease", detail=str(error))
            self._leave()
        except AlphamillError as error:
            self._metrics.engine_failures.labels(code=error.code).inc()
            log.error("round failed", code=error.code, detail=str(error))
        except Exception:
            self._metrics.engine_failures.labels(code="UNEXPECTED").inc()
            log.exception("round failed")

    async def _join_bus(self) -> None:
        try:
            await self._bus.start()
            self._bus_started = True
        except EventBusUnavailable as error:
            if not self._bus_told:  # Once, not at every tick.
                log.error("event bus is down; ticks do its work", code=error.code, detail=str(error))
            self._bus_told = True
