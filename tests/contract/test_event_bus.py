"""One suite for every `EventBus`, and what only Redis can show."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from alphamill.adapters.redis.events import RedisEventBus
from alphamill.errors import Conflict, EventBusUnavailable
from alphamill.ports import EventBus
from alphamill.testing.event_bus import InMemoryEventBus


@pytest.fixture(params=["memory", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[EventBus]:
    made: EventBus = (
        InMemoryEventBus() if request.param == "memory" else RedisEventBus(request.getfixturevalue("redis_url"))
    )
    yield made
    await made.stop()


@pytest.fixture
def topic() -> str:
    return f"test.{uuid.uuid4()}"


class Inbox:
    """Collects messages; `wait` polls for a number of them."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    async def wait(self, count: int) -> list[dict[str, Any]]:
        await until(lambda: len(self.messages) >= count)
        return self.messages


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


async def test_messages_arrive_in_order_and_as_they_were(bus: EventBus, topic: str) -> None:
    inbox = Inbox()
    bus.subscribe(topic, inbox)
    await bus.start()
    sent = [{"n": n, "symbols": ["AAPL", "Ü"], "nested": {"x": 1.5, "none": None}} for n in range(5)]
    for message in sent:
        await bus.publish(topic, message)
    assert await inbox.wait(5) == sent


async def test_every_handler_of_a_topic_gets_every_message_and_no_other_topics(bus: EventBus, topic: str) -> None:
    first, second, other = Inbox(), Inbox(), Inbox()
    bus.subscribe(topic, first)
    bus.subscribe(topic, second)
    bus.subscribe(f"{topic}.other", other)
    await bus.start()
    await bus.publish(topic, {"n": 1})
    await bus.publish(f"{topic}.other", {"n": 2})
    assert await first.wait(1) == await second.wait(1) == [{"n": 1}]
    assert await other.wait(1) == [{"n": 2}]


async def test_a_handler_that_raises_does_not_stop_the_next_message(bus: EventBus, topic: str) -> None:
    inbox = Inbox()

    async def picky(message: dict[str, Any]) -> None:
        if message["n"] == 0:
            raise ValueError("not this one")
        await inbox(message)

    bus.subscribe(topic, picky)
    await bus.start()
    await bus.publish(topic, {"n": 0})
    await bus.publish(topic, {"n": 1})
    assert await inbox.wait(1) == [{"n": 1}]


async def test_publishing_before_start_or_after_stop_is_refused(bus: EventBus, topic: str) -> None:
    with pytest.raises(EventBusUnavailable, match="not started"):
        await bus.publish(topic, {})
    await bus.start()
    await bus.publish(topic, {})
    await bus.stop()
    await bus.stop()
    with pytest.raises(EventBusUnavailable):
        await bus.publish(topic, {})


async def test_subscribing_after_start_is_refused_and_a_second_start_changes_nothing(bus: EventBus, topic: str) -> None:
    inbox = Inbox()
    bus.subscribe(topic, inbox)
    await bus.start()
    await bus.start()
    with pytest.raises(Conflict, match="started"):
        bus.subscribe(topic, inbox)
    await bus.publish(topic, {"n": 1})
    await bus.publish(topic, {"n": 2})
    assert await inbox.wait(2) == [{"n": 1}, {"n": 2}]


async def test_the_fake_can_be_switched_off(topic: str) -> None:
    bus = InMemoryEventBus()
    await bus.start()
    bus.available = False
    with pytest.raises(EventBusUnavailable):
        await bus.publish(topic, {})
    await bus.stop()


async def test_a_message_published_while_the_reader_was_down_is_read_later(redis_url: str, topic: str) -> None:
    inbox = Inbox()
    reader, publisher = RedisEventBus(redis_url), RedisEventBus(redis_url, reader="publisher")
    reader.subscribe(topic, inbox)
    await publisher.start()
    await reader.start()
    await publisher.publish(topic, {"n": 1})
    await inbox.wait(1)
    await reader.stop()
    await publisher.publish(topic, {"n": 2})

    again = RedisEventBus(redis_url)
    again.subscribe(topic, inbox)
    await again.start()
    assert await inbox.wait(2) == [{"n": 1}, {"n": 2}]
    await again.stop()
    await publisher.stop()


async def test_without_redis_start_and_publish_say_so_and_reading_goes_on_when_it_is_back(
    own_redis: Any, topic: str
) -> None:
    inbox = Inbox()
    bus = RedisEventBus(own_redis.url, watch_secs=0.05)
    bus.subscribe(topic, inbox)
    await bus.start()
    own_redis.kill()
    with pytest.raises(EventBusUnavailable, match="Redis"):
        await bus.publish(topic, {"n": 1})
    late = RedisEventBus(own_redis.url)
    with pytest.raises(EventBusUnavailable, match="Redis"):
        await late.start()

    own_redis.start()  # without its data: the reader's group is gone
    await bus.publish(topic, {"n": 2})
    assert await inbox.wait(1) == [{"n": 2}]
    await bus.stop()
