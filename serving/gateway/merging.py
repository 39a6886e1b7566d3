"""Background work of a gateway: complete sessions go into the bars table, and the trader is woken."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from alphamill.domain.events import BARS_APPENDED, PORTFOLIO_CHANGED, PortfolioChanged
from alphamill.door import Door, Roster
from alphamill.errors import AlphamillError, EventBusUnavailable
from alphamill.monitoring import Metrics
from alphamill.ports import EventBus

#: How long to wait for work when nothing wakes it.
TICK_SECS = 1.0

log = structlog.get_logger(__name__)


class Merging:
    """Runs the door's merging off the event loop: at once after a bar was posted, else once a second.

    Parameters
    ----------
    rosters
        Says whose bars are awaited; asked at every tick, so that a new portfolio's bars are taken without a restart.
    on_merged
        Told of every close that was merged: the clock of a replay.
    """

    def __init__(
        self,
        door: Door,
        bus: EventBus,
        metrics: Metrics,
        *,
        rosters: Callable[[], list[Roster]],
        on_merged: Callable[[Any], object],
    ) -> None:
        self._door, self._bus, self._metrics = door, bus, metrics
        self._rosters, self._on_merged = rosters, on_merged
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._bus_started = self._bus_told = self._stopping = False

    async def start(self) -> None:
        """Learn whose bars are awaited, join the bus, start ticking. A bus that is down is joined later."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._expect)
        await self._join_bus()
        self._task = asyncio.create_task(self._run(), name="gateway-merging")

    async def stop(self) -> None:
        """Finish the merge in hand, then leave the bus."""
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

    def wake_trader(self, portfolio: str) -> None:
        """A target or a state is in the ledger; may be called from any thread. Losing this costs the trader a tick."""
        assert self._loop is not None
        message = PortfolioChanged(portfolio=portfolio).model_dump(mode="json")
        asyncio.run_coroutine_threadsafe(self._publish(PORTFOLIO_CHANGED, message), self._loop)

    async def _run(self) -> None:
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_SECS)
            self._wake.clear()
            await self._guarded()

    async def _guarded(self) -> None:
        """Nothing that goes wrong in one round may stop the next one; bars stay in the journal meanwhile."""
        try:
            await self._tick()
        except AlphamillError as error:
            self._metrics.engine_failures.labels(code=error.code).inc()
            log.error("merging failed", code=error.code, detail=str(error))
        except Exception:
            self._metrics.engine_failures.labels(code="UNEXPECTED").inc()
            log.exception("merging failed")

    async def _tick(self) -> None:
        if not self._bus_started:
            await self._join_bus()
        merged = await asyncio.to_thread(self._door.merge)
        for event in merged:
            self._on_merged(event.close)
            await self._publish(BARS_APPENDED, event.model_dump(mode="json"))
        if not merged:
            await asyncio.to_thread(self._tidy)

    def _tidy(self) -> None:
        self._expect()
        self._door.tidy()

    def _expect(self) -> None:
        self._door.expect(self._rosters())

    async def _publish(self, topic: str, message: dict[str, Any]) -> None:
        try:
            await self._bus.publish(topic, message)
        except EventBusUnavailable as error:
            # It only wakes: the trader's own tick finds what is there.
            log.error("event not published", code=error.code, detail=str(error))

    async def _join_bus(self) -> None:
        try:
            await self._bus.start()
            self._bus_started = True
        except EventBusUnavailable as error:
            if not self._bus_told:  # Once, not at every tick.
                log.error("event bus is down; ticks do its work", code=error.code, detail=str(error))
            self._bus_told = True
