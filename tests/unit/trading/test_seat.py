"""Who holds the lease can trade: who cannot open its books steps back, who recovers slowly does not lose it."""

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from alphamill.adapters.clock.system import SystemClock
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.errors import InvalidConfig
from alphamill.monitoring import Metrics
from alphamill.ports import Grant, Lease
from alphamill.testing.event_bus import InMemoryEventBus
from alphamill.testing.lease import InMemoryLease
from alphamill.testing.status import InMemoryStatusBoard
from serving.trader.loop import Trading, TradingLoop

TTL_SECS = 0.3
DEADLINE_SECS = 10.0


@pytest.fixture(autouse=True)
def _fast_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.trader.loop.TICK_SECS", 0.02)


@pytest.fixture
def lease() -> InMemoryLease:
    return InMemoryLease(InMemoryLedger(), ttl_secs=TTL_SECS, clock=SystemClock())


class Idle:
    """A trader with no portfolio."""

    def enforce_states(self) -> None: ...

    def decide_targets(self) -> list[object]:
        return []

    def advance(self) -> list[object]:
        return []

    def statuses(self, now: object, holder: str) -> list[object]:
        return []

    def records(self) -> list[object]:
        return []


def idle(grant: Grant) -> Trading:
    return SimpleNamespace(trader=Idle(), close=lambda: None)  # type: ignore[return-value]


def loop(lease: Lease, holder: str, make: Callable[[Grant], Trading]) -> TradingLoop:
    return TradingLoop(
        make,
        lease=lease,
        holder=holder,
        ttl_secs=TTL_SECS,
        bus=InMemoryEventBus(),
        board=InMemoryStatusBoard(),
        clock=SystemClock(),
        metrics=Metrics(CollectorRegistry()),
    )


async def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_one_that_cannot_open_its_books_leaves_the_lease_to_one_that_can(lease: InMemoryLease) -> None:
    def cannot(grant: Grant) -> Trading:
        raise InvalidConfig("no key for the broker here.", remedy="Give one.")

    async def run() -> None:
        first, second = loop(lease, "first", cannot), loop(lease, "second", idle)
        await first.start()
        await until(lambda: first.rounds > 0)
        await second.start()
        await until(lambda: second.acting)
        rounds = first.rounds
        await until(lambda: first.rounds > rounds + 30)
        assert second.acting
        await first.stop()
        await second.stop()

    asyncio.run(run())


def test_a_recovery_that_takes_longer_than_the_lease_does_not_lose_it(lease: InMemoryLease) -> None:
    opened: list[int] = []

    def slow(grant: Grant) -> Trading:
        opened.append(grant.token)
        time.sleep(4 * TTL_SECS)  # the recovery itself: what is awaited is that it ends
        return idle(grant)

    async def run() -> None:
        first, second = loop(lease, "first", slow), loop(lease, "second", slow)
        await first.start()
        await until(lambda: bool(opened))
        await second.start()
        await until(lambda: first.acting)
        assert not second.acting
        await first.stop()
        await until(lambda: second.acting)
        await second.stop()

    asyncio.run(run())
    assert opened == [1, 2]


def test_a_lease_that_was_given_back_is_not_taken_again_by_its_renewal(lease: InMemoryLease) -> None:
    async def run() -> None:
        only = loop(lease, "only", idle)
        await only.start()
        await until(lambda: only.acting)
        await only.stop()

    asyncio.run(run())
    granted = lease.acquire("other")
    assert granted is not None
    assert granted.token == 2
