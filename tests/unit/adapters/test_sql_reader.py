"""Questions beyond the port."""

import datetime as dt
from collections.abc import Iterator

import polars as pl
import pytest

from alphamill.adapters.sql import SqlLedger, SqlLedgerView
from alphamill.domain.bars import UTC_TS
from alphamill.domain.decisions import TradingState
from alphamill.errors import NotFound
from alphamill.testing.decisions import commit, sample_decision, sample_settlement, sample_spec, settle

NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)

DECISIONS = [sample_decision(n) for n in range(6)]


@pytest.fixture(scope="module")
def ledger() -> Iterator[SqlLedger]:
    """Six decisions, all settled but the last."""
    opened = SqlLedger("sqlite://")
    for name in ("demo", "empty"):
        opened.register(sample_spec(name), NOON)
    for decision in DECISIONS:
        commit(opened, decision)
        if decision is not DECISIONS[-1]:
            settle(opened, sample_settlement(decision))
    opened.set_state("demo", TradingState.REDUCING, "drawdown", DECISIONS[3].decided_at)
    yield opened
    opened.close()


@pytest.fixture
def reader(ledger: SqlLedger) -> SqlLedgerView:
    return ledger


def test_decisions_are_paged_both_ways(reader: SqlLedgerView) -> None:
    assert reader.decisions("demo", limit=2) == DECISIONS[:2]
    assert reader.decisions("demo", limit=2, after=DECISIONS[1].id) == DECISIONS[2:4]
    assert reader.decisions("demo", limit=2, newest_first=True) == DECISIONS[:3:-1]
    assert reader.decisions("demo", after=DECISIONS[1].id, newest_first=True) == DECISIONS[:1]
    assert reader.decisions("empty") == []
    with pytest.raises(NotFound, match="dec_x"):
        reader.decisions("demo", after="dec_x")


def test_records_equal_the_ports(ledger: SqlLedger, reader: SqlLedgerView) -> None:
    assert reader.records() == [ledger.register(sample_spec(name), NOON) for name in ("demo", "empty")]


def test_nav_is_a_frame_of_floats(reader: SqlLedgerView) -> None:
    frame = reader.nav("demo")
    assert frame.schema == pl.Schema({"at": UTC_TS, "nav_usd": pl.Float64(), "cash_usd": pl.Float64()})
    points = [sample_settlement(d).nav for d in DECISIONS[:-1]]
    assert frame.rows() == [(p.at, float(p.nav_usd), float(p.cash_usd)) for p in points if p]
    assert reader.nav("empty").is_empty()


def test_weights_are_the_targets_per_decision(reader: SqlLedgerView) -> None:
    frame = reader.weights("demo")
    assert frame.rows() == [(d.decided_at, s, w) for d in DECISIONS for s, w in d.target_weights.items()]
    assert reader.weights("empty").schema == frame.schema


def test_state_history_gives_the_reason(reader: SqlLedgerView) -> None:
    (change,) = reader.changes("demo")
    assert (change.at, change.state, change.reason) == (DECISIONS[3].decided_at, TradingState.REDUCING, "drawdown")
