"""Whatever is written in whatever order, the SQL ledger holds what the fake holds."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import SqlLedger
from alphamill.domain.decisions import TradingState
from alphamill.errors import AlphamillError
from alphamill.ports import Ledger
from alphamill.testing.decisions import commit as _commit
from alphamill.testing.decisions import sample_decision, sample_settlement, sample_spec
from alphamill.testing.decisions import settle as _settle

NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)

SPECS = [sample_spec("demo"), sample_spec("other")]
Step = Callable[[Ledger], object]

numbers, names, flags = st.integers(0, 4), st.sampled_from(["demo", "other", "unknown"]), st.booleans()


def commit(number: int, name: str, changed: bool) -> Step:
    decision = sample_decision(number, portfolio=name, symbols=("AAPL", "IBM"))
    return lambda ledger: _commit(ledger, replace(decision, source="manual") if changed else decision)


def settle(number: int, name: str, filled: bool, with_nav: bool, cents: int) -> Step:
    decision = sample_decision(number, portfolio=name, symbols=("AAPL", "IBM"))
    settlement = sample_settlement(decision, filled=filled)
    settlement = replace(settlement, cash_usd=Decimal(cents).scaleb(-2), nav=settlement.nav if with_nav else None)
    return lambda ledger: _settle(ledger, settlement)


def set_state(number: int, name: str, state: TradingState, reason: str) -> Step:
    at = sample_decision(number).decided_at + timedelta(hours=1)
    return lambda ledger: ledger.set_state(name, state, reason, at)


steps = st.lists(
    st.one_of(
        st.builds(commit, numbers, names, flags),
        st.builds(settle, numbers, names, flags, flags, st.integers(-(10**6), 10**9)),
        st.builds(set_state, numbers, names, st.sampled_from(TradingState), st.sampled_from(["drill", "drawdown"])),
    ),
    max_size=15,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_sql_and_fake_answer_and_record_the_same(sequence: list[Step]) -> None:
    fake, real = InMemoryLedger(), SqlLedger("sqlite://")
    for spec in SPECS:
        assert fake.register(spec, NOON) == real.register(spec, NOON)
    for step in sequence:
        assert outcome(step, fake) == outcome(step, real)
        assert [fake.register(spec, NOON) for spec in SPECS] == [real.register(spec, NOON) for spec in SPECS]
    for name in ("demo", "other"):
        reader = real
        assert fake.decisions(name) == reader.decisions(name)
        assert fake.orders(name) == reader.orders(name)
        assert fake.fills(name) == reader.fills(name)
        assert sorted(fake.nav_points(name), key=lambda p: p.at) == reader.nav_points(name)
        assert fake.changes(name) == reader.changes(name)
        assert [fake.trail(o.id) for o in fake.orders(name)] == [real.trail(o.id) for o in reader.orders(name)]
    real.close()


def outcome(step: Step, ledger: Ledger) -> type[AlphamillError] | None:
    """The class of error a step ends in; None if it is taken."""
    try:
        step(ledger)
    except AlphamillError as error:
        return type(error)
    return None
