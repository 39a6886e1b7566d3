"""Background work of the controller process: close sessions, publish, process, enforce states."""

import asyncio
import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from alphamill.bootstrap import rosters
from alphamill.domain.decisions import Decision
from alphamill.domain.events import BARS_APPENDED
from alphamill.door import Door
from alphamill.errors import AlphamillError, EventBusUnavailable
from alphamill.monitoring import Metrics
from alphamill.ports import EventBus
from alphamill.trading.trader import Trader

#: How long to wait for work when nothing wakes the engine; also how fast a halt cancels open orders.
TICK_SECS = 1.0

log = structlog.get_logger(__name__)


class Engine:
    """Runs door and trader off the event loop. A posted bar wakes it; a tick finds what nothing woke it for."""

    def __init__(self, door: Door, trader: Trader, bus: EventBus, metrics: Metrics) -> None:
        self._door = door
        self._trader = trader
        self._turn = threading.Lock()
        self._bus = bus
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._bus_started = False
        self._stopping = False

    async def start(self) -> None:
        """Recover, join the bus, start ticking. A bus that is down is joined later; a bad ledger stops the start."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._recover)
        self._bus.subscribe(BARS_APPENDED, self._on_bars_appended)
        await self._join_bus()
        self._task = asyncio.create_task(self._run(), name="controller-engine")

    async def stop(self) -> None:
        """Finish the work in hand, then leave the bus."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            # Not cancelled: its thread would go on without it, over connections that are being closed.
            await self._task
        if self._bus_started:
            with contextlib.suppress(EventBusUnavailable):
                await self._bus.stop()

    def wake(self) -> None:
        """Something is in the journal; may be called from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_SECS)
            self._wake.clear()
            if self._stopping:
                return
            # Apart from the rest: what keeps one portfolio from being halted must not keep bars from being merged.
            await self._guarded(lambda: asyncio.to_thread(self._enforce))
            await self._guarded(self._tick)

    async def _tick(self) -> None:
        if not self._bus_started:
            await self._join_bus()
        events = await asyncio.to_thread(self._door.merge)
        for event in events:
            await self._publish(event.model_dump(mode="json"))
        await asyncio.to_thread(self._process)
        if not events and not self._trader.behind_secs:
            await asyncio.to_thread(self._door.tidy)

    def _recover(self) -> None:
        self._trader.start()
        self._door.expect(rosters(self._trader.portfolios()))

    def _enforce(self) -> None:
        with self._turn:
            self._trader.enforce_states()

    def update_target(self, portfolio: str | None, weights: Mapping[str, float]) -> Decision:
        """A person's target; see `Trader.update_target`."""
        with self._turn:
            decision = self._trader.update_target(portfolio, weights)
        self._metrics.on_decision(decision, at=dt.datetime.now(dt.UTC))
        return decision

    async def _publish(self, message: dict[str, Any]) -> None:
        try:
            await self._bus.publish(BARS_APPENDED, message)
        except EventBusUnavailable as error:
            # The session is merged already: the next tick finds the loop behind and processes it.
            log.error("event not published", code=error.code, detail=str(error))

    async def _on_bars_appended(self, message: dict[str, Any]) -> None:
        await self._guarded(lambda: asyncio.to_thread(self._process))

    def _process(self) -> None:
        started = time.monotonic()
        with self._turn:
            decisions = self._trader.advance()
        for decision in decisions:
            self._metrics.on_decision(decision, at=dt.datetime.now(dt.UTC))
            self._metrics.decision_secs.observe((time.monotonic() - started) / len(decisions))
        if decisions:
            for record in self._trader.records():
                self._metrics.on_record(record)

    async def _join_bus(self) -> None:
        try:
            await self._bus.start()
            self._bus_started = True
        except EventBusUnavailable as error:
            log.error("event bus is down; ticks do its work", code=error.code, detail=str(error))

    async def _guarded(self, work: Callable[[], Any]) -> None:
        """Nothing that goes wrong in one round may stop the next one; positions are held meanwhile."""
        try:
            await work()
        except AlphamillError as error:
            self._metrics.engine_failures.labels(code=error.code).inc()
            log.error("round failed", code=error.code, detail=str(error))
        except Exception:
            self._metrics.engine_failures.labels(code="UNEXPECTED").inc()
            log.exception("round failed")
