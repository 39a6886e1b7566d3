"""What every `Lease` keeps to: one holder, tokens that only rise, and no write of a holder that was replaced."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import SqlLease, SqlLedger
from alphamill.errors import Fenced, InvalidConfig, StaleRevision
from alphamill.ports import Books, Lease
from alphamill.testing.clock import ManualClock
from alphamill.testing.decisions import sample_decision, sample_settlement, sample_spec
from alphamill.testing.lease import InMemoryLease

NOON = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
TTL_SECS = 10.0
SECOND = dt.timedelta(seconds=1)


class House:
    """A ledger, and its lease as several processes see it."""

    def __init__(self, ledger: Books, open_lease: Callable[[], Lease], clock: ManualClock) -> None:
        self.ledger, self.open_lease, self.clock = ledger, open_lease, clock


@pytest.fixture(params=["fake", "sql"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    clock = ManualClock(NOON)
    if request.param == "fake":
        books = InMemoryLedger()
        lease = InMemoryLease(books, ttl_secs=TTL_SECS, clock=clock)
        yield House(books, lambda: lease, clock)
        return
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger, opened = SqlLedger(url), []

    def open_lease() -> Lease:
        opened.append(SqlLease(url, ttl_secs=TTL_SECS, clock=clock))
        return opened[-1]

    yield House(ledger, open_lease, clock)
    for one in (ledger, *opened):
        one.close()


def test_one_holds_it_and_another_waits_until_it_expires(house: House) -> None:
    first, second = house.open_lease(), house.open_lease()
    grant = first.acquire("a")
    assert grant is not None
    assert (grant.holder, grant.token, grant.expires_at) == ("a", 1, NOON + 10 * SECOND)
    assert second.acquire("b") is None
    assert second.current() == grant
    house.clock.set(NOON + 10 * SECOND)
    assert second.current() is None
    taken = second.acquire("b")
    assert taken is not None
    assert (taken.holder, taken.token) == ("b", 2)
    assert first.acquire("a") is None


def test_the_holder_renews_under_the_same_token(house: House) -> None:
    lease = house.open_lease()
    first = lease.acquire("a")
    house.clock.set(NOON + 5 * SECOND)
    again = lease.acquire("a")
    assert first is not None
    assert again == replace(first, expires_at=NOON + 15 * SECOND)


def test_a_lease_given_back_is_free_at_once_and_its_token_is_used_up(house: House) -> None:
    first, second = house.open_lease(), house.open_lease()
    grant = first.acquire("a")
    assert grant is not None
    first.release(grant)
    assert first.current() is None
    taken = second.acquire("b")
    assert taken is not None
    assert taken.token == 2
    first.release(grant)  # an old grant gives nothing back
    assert second.current() == taken


def test_a_lapsed_holder_whom_nobody_replaced_goes_on_under_its_token(house: House) -> None:
    lease = house.open_lease()
    lease.acquire("a")
    house.clock.set(NOON + dt.timedelta(hours=1))
    again = lease.acquire("a")
    assert again is not None
    assert again.token == 1


def test_the_books_take_writes_of_the_newest_holder_only(house: House) -> None:
    ledger, lease = house.ledger, house.open_lease()
    ledger.register(sample_spec(), NOON)
    decision = sample_decision(1)
    old = lease.acquire("a")
    house.clock.set(NOON + 11 * SECOND)
    new = lease.acquire("b")
    assert old is not None
    assert new is not None
    before = ledger.record("demo")
    for token in (old.token, None):
        with pytest.raises(Fenced, match="Another trader acts"):
            ledger.commit(decision, token=token)
        with pytest.raises(Fenced):
            ledger.settle(sample_settlement(decision), token=token)
    assert ledger.record("demo") == before
    ledger.commit(decision, token=new.token)
    ledger.settle(replace(sample_settlement(decision), revision=1), token=new.token)
    assert ledger.record("demo").revision == 2


def test_a_write_computed_from_an_old_revision_is_refused_and_changes_nothing(house: House) -> None:
    ledger = house.ledger
    ledger.register(sample_spec(), NOON)
    first, second = sample_decision(1), sample_decision(2)
    ledger.commit(first)
    before = ledger.record("demo")
    with pytest.raises(StaleRevision, match="at revision 1, the write was computed from 0"):
        ledger.commit(second)
    with pytest.raises(StaleRevision, match="Read the record again"):
        ledger.settle(sample_settlement(first))
    assert ledger.record("demo") == before
    ledger.commit(first)  # a retry after a lost answer: the decision is there, whatever the revision is by now
    assert ledger.record("demo") == before


def test_a_lease_of_no_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="lease"):
        SqlLease(f"sqlite:///{tmp_path}/ledger.db", ttl_secs=0, clock=ManualClock(NOON))
