"""An event bus within one event loop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from alphamill.errors import Conflict, EventBusUnavailable

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class InMemoryEventBus:
    """`EventBus` without a server: each handler has a queue and a task that reads it."""

    def __init__(self) -> None:
        self._readers: list[tuple[str, Handler, asyncio.Queue[str]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._started = False
        #: Set to False to see how code meets a bus that is gone.
        self.available = True

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Have `handler` called with every message of `topic`; before `start`."""
        if self._started:
            raise Conflict("the event bus has started.", field="topic", remedy="Subscribe before start.")
        self._readers.append((topic, handler, asyncio.Queue()))

    async def start(self) -> None:
        """Begin to read. Again: nothing happens."""
        self._require_available()
        if not self._started:
            self._started = True
            self._tasks = [asyncio.create_task(_read(handler, queue)) for _, handler, queue in self._readers]

    async def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Queue a message (JSON types only) for every handler of the topic."""
        self._require_available()
        if not self._started:
            raise EventBusUnavailable("the event bus has not started.", remedy="Await start first.")
        text = json.dumps(message)
        for name, _, queue in self._readers:
            if name == topic:
                queue.put_nowait(text)

    async def stop(self) -> None:
        """Stop reading. Again: nothing happens."""
        self._started = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _require_available(self) -> None:
        if not self.available:
            raise EventBusUnavailable("the event bus is switched off.", remedy="Set available to True.")


async def _read(handler: Handler, queue: asyncio.Queue[str]) -> None:
    while True:
        message = json.loads(await queue.get())
        try:
            await handler(message)
        except Exception:
            structlog.get_logger(__name__).exception("event_handler_failed")
