"""`EventBus` on Redis streams, through FastStream.

Each handler is a consumer group of its own: it gets every message once, those published while its
process was down included, as long as Redis kept them. A message whose handler was running when
the process was killed is not delivered again; readers recover from the journal and the ledger.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog

from alphamill.errors import Conflict, EventBusUnavailable

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class RedisEventBus:
    """Events through Redis.

    Parameters
    ----------
    redis_url
        ``redis://[user:password@]host:port/db``.
    reader
        Name of the reading service. Two processes of one name share the messages between them;
        two names get all of them each.
    max_messages
        Newest messages that Redis keeps per topic.
    watch_secs
        How often readers that Redis has cut off are taken up again.
    """

    def __init__(
        self, redis_url: str, *, reader: str = "trader", max_messages: int = 10_000, watch_secs: float = 1.0
    ) -> None:
        self._redis_url = redis_url
        self._reader = reader
        self._max_messages = max_messages
        self._watch_secs = watch_secs
        self._handlers: list[tuple[str, Handler]] = []
        self._broker: Any = None
        self._watch: asyncio.Task[None] | None = None
        self._log = structlog.get_logger(__name__)

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Have `handler` called with every message of `topic`, one after the other.

        A handler that raises loses its message: the error is logged and the next one is read.

        Raises
        ------
        Conflict
            The bus has started.
        """
        if self._broker is not None:
            raise Conflict("the event bus has started.", field="topic", remedy="Subscribe before start.")
        self._handlers.append((topic, handler))

    async def start(self) -> None:
        """Connect and begin to read; `EventBusUnavailable` without Redis. Again: nothing happens."""
        from faststream.redis import RedisBroker, StreamSub

        if self._broker is not None:
            return
        broker = RedisBroker(self._redis_url, logger=None, socket_connect_timeout=2.0, socket_timeout=5.0)
        readers = []
        for number, (topic, handler) in enumerate(self._handlers):
            # The group's name must not change from one start to the next.
            group = f"{self._reader}-{sum(t == topic for t, _ in self._handlers[:number])}"
            reader = broker.subscriber(stream=StreamSub(topic, group=group, consumer=self._reader))
            reader(self._guarded(topic, handler))
            readers.append((topic, group, reader))
        try:
            with self._redis_errors():
                client = await broker.connect()
                await client.ping()
                await broker.start()
        except EventBusUnavailable:
            await broker.stop()
            raise
        self._broker = broker
        self._watch = asyncio.create_task(self._keep_reading(client, readers))

    async def publish(self, topic: str, message: dict[str, Any]) -> None:
        """Append a message (JSON types only) to the topic's stream; `EventBusUnavailable` without Redis."""
        if self._broker is None:
            raise EventBusUnavailable("the event bus has not started.", remedy="Await start first.")
        with self._redis_errors():
            await self._broker.publish(message, stream=topic, maxlen=self._max_messages)

    async def stop(self) -> None:
        """Finish the running handlers and disconnect. Again: nothing happens."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await broker.stop()

    async def _keep_reading(self, client: Any, readers: list[tuple[str, str, Any]]) -> None:
        """FastStream gives a reader up when its group is gone, as after a restart of Redis without its data."""
        from redis.exceptions import RedisError, ResponseError

        while True:
            await asyncio.sleep(self._watch_secs)
            for topic, group, reader in readers:
                if reader.running:
                    continue
                try:
                    # From the first message on: all that the new stream holds is unread.
                    with contextlib.suppress(ResponseError):
                        await client.xgroup_create(topic, group, id="0", mkstream=True)
                    await reader.start()
                    self._log.warning("event_reader_restarted", topic=topic, group=group)
                except (RedisError, OSError) as error:
                    self._log.warning("event_reader_down", topic=topic, error=str(error))

    def _guarded(self, topic: str, handler: Handler) -> Handler:
        async def handle(message: dict[str, Any]) -> None:
            try:
                await handler(message)
            except Exception:
                self._log.exception("event_handler_failed", topic=topic)

        return handle

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError) as error:
            raise EventBusUnavailable(
                f"Redis does not take events: {error}.",
                field="redis_url",
                remedy="Start it, or mend ALPHAMILL_REDIS_URL; bars stay in the journal meanwhile.",
            ) from error
