"""The `Ledger` port, kept by the fake and by SQL in memory and in a file."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import SqlLedger, SqlLedgerView
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import (
    CashEntry,
    CashKind,
    NavPoint,
    Settlement,
    SpecChange,
    StateChange,
    Target,
    target_id,
)
from alphamill.domain.orders import OrderStatus, Position
from alphamill.errors import Conflict, InvalidInput, NotFound
from alphamill.ports import Books
from alphamill.testing.decisions import commit, sample_decision, sample_settlement, sample_spec, settle

SPEC = sample_spec()
NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new ledger; tests copy it, because bringing up the schema costs more than most of them."""
    path = tmp_path_factory.mktemp("ledger") / "books" / "ledger.db"
    SqlLedger(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["fake", "memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[Books]:
    if request.param == "fake":
        yield InMemoryLedger()
        return
    if request.param == "file":
        shutil.copy(migrated_file, tmp_path / "ledger.db")
    opened = SqlLedger("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def traded(ledger: Books) -> Decision:
    """A ledger with one decision, filled and settled."""
    ledger.register(SPEC, NOON)
    decision = sample_decision(1)
    commit(ledger, decision)
    settle(ledger, sample_settlement(decision))
    return decision


def test_unknown_portfolio_is_created_active_with_its_cash(ledger: Books) -> None:
    record = ledger.register(SPEC, NOON)
    assert (record.state, record.cash_usd, record.nav_usd) == (TradingState.ACTIVE, Decimal(100_000), Decimal(100_000))
    assert (record.positions, record.open_orders) == ({}, ())
    assert (record.last_settled_at, record.last_decision_at, record.last_fill_id) == (None, None, None)
    assert ledger.register(SPEC, NOON) == record


def test_spec_of_known_portfolio_changes_no_money(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    changed = SPEC.model_copy(update={"initial_cash_usd": Decimal(5)})
    assert ledger.register(changed, NOON) == replace(before, spec=changed)
    (change,) = ledger.changes("demo")
    assert change == SpecChange(NOON, {"initial_cash_usd": ("100000", "5")})


def test_committed_decision_comes_back_equal_and_leaves_its_orders_open(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    decision = sample_decision(1)
    commit(ledger, decision)
    record = ledger.register(SPEC, NOON)
    assert record.open_orders == decision.orders
    assert (record.last_decision_at, record.model_version) == (decision.decided_at, decision.model_version)
    for order in decision.orders:
        trail = ledger.trail(order.id)
        assert (trail.order, trail.fills, trail.decision) == (order, (), decision)


def test_values_come_back_digit_for_digit(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    decision = sample_decision(2)
    odd = {"tiny": 5e-324, "third": 1 / 3, "zero": -0.0, "big": 1.7976931348623157e308}
    snapshots = (replace(decision.snapshots[0], values=odd), *decision.snapshots[1:])
    decision = replace(decision, snapshots=snapshots, prices={"AAPL": Decimal("1.500"), "FB": Decimal("1E-9")})
    commit(ledger, decision)
    back = ledger.trail(decision.orders[0].id).decision
    assert repr(back) == repr(decision)


def test_decision_that_asked_no_model_keeps_the_last_version(ledger: Books, traded: Decision) -> None:
    quiet = replace(sample_decision(2), model_version="", orders=())
    commit(ledger, quiet)
    record = ledger.register(SPEC, NOON)
    assert (record.model_version, record.last_decision_at) == (traded.model_version, quiet.decided_at)


def test_same_decision_again_changes_nothing(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    commit(ledger, traded)
    assert ledger.register(SPEC, NOON) == before
    assert ledger.trail(traded.orders[0].id).order.status is OrderStatus.FILLED


def test_other_decision_under_the_same_id_is_a_conflict(ledger: Books, traded: Decision) -> None:
    with pytest.raises(Conflict, match="other content"):
        commit(ledger, replace(traded, run_id="another"))
    assert ledger.trail(traded.orders[0].id).decision == traded


def test_order_of_another_decision_is_a_conflict_and_nothing_is_kept(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    second = replace(sample_decision(2), orders=(*sample_decision(2).orders[1:], traded.orders[0]))
    with pytest.raises(Conflict, match=traded.orders[0].id):
        commit(ledger, second)
    assert ledger.register(SPEC, NOON) == before
    with pytest.raises(NotFound):
        ledger.trail(second.orders[0].id)


def test_unknown_names_are_not_found(ledger: Books) -> None:
    decision = sample_decision(1)
    with pytest.raises(NotFound, match="demo"):
        commit(ledger, decision)
    with pytest.raises(NotFound, match="demo"):
        settle(ledger, sample_settlement(decision))
    with pytest.raises(NotFound, match="demo"):
        ledger.set_state("demo", TradingState.HALTED, "why", NOON)
    with pytest.raises(NotFound, match="ord_x"):
        ledger.trail("ord_x")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"decided_at": NOON.replace(tzinfo=None)}, "decided_at"),
        ({"target_weights": {"AAPL": float("nan")}}, "target_weights.AAPL"),
        ({"weights_before": {"AAPL": float("inf")}}, "weights_before.AAPL"),
        ({"nav_usd": Decimal("NaN")}, "nav_usd"),
        ({"prices": {"AAPL": 1.5}}, "prices"),
        ({"orders": (sample_decision(1).orders[0],) * 2}, "orders"),
        ({"orders": sample_decision(1, portfolio="other").orders}, "orders"),
        ({"orders": (sample_decision(1).orders[0].with_status(OrderStatus.FILLED),)}, "orders"),
    ],
)
def test_decision_that_cannot_be_kept_exactly_is_refused(ledger: Books, change: dict[str, object], field: str) -> None:
    ledger.register(SPEC, NOON)
    with pytest.raises(InvalidInput) as refused:
        commit(ledger, replace(sample_decision(1), **change))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert ledger.register(SPEC, NOON).last_decision_at is None


def test_settlement_updates_everything_together(ledger: Books, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    assert settlement.nav is not None
    record = ledger.register(SPEC, NOON)
    assert record.cash_usd == settlement.cash_usd
    assert record.positions == {p.symbol: p for p in settlement.positions}
    assert (record.nav_usd, record.last_settled_at) == (settlement.nav.nav_usd, settlement.nav.at)
    assert record.peak_nav_usd == max(Decimal(100_000), settlement.nav.nav_usd)
    assert record.open_orders == ()
    assert record.last_fill_id == settlement.fills[-1].id
    trail = ledger.trail(traded.orders[2].id)
    assert (trail.order, trail.fills) == (settlement.orders[2], (settlement.fills[2],))
    assert trail.decision == traded


def test_same_settlement_again_changes_nothing(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    settle(ledger, sample_settlement(traded))
    assert replace(ledger.record("demo"), revision=before.revision) == before
    assert ledger.trail(traded.orders[0].id).fills == sample_settlement(traded).fills[:1]


def test_repeated_fill_does_not_move_the_last_fill_back(ledger: Books, traded: Decision) -> None:
    old = sample_settlement(traded)
    later = replace(old, at=old.at + dt.timedelta(days=1), fills=old.fills[:1], nav=None)
    settle(ledger, later)
    assert ledger.register(SPEC, NOON).last_fill_id == old.fills[-1].id


def test_settlement_without_nav_leaves_the_close_where_it_was(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    between = Settlement("demo", before.last_settled_at or NOON, (), (), Decimal(7), (), None)
    settle(ledger, between)
    record = ledger.register(SPEC, NOON)
    assert (record.cash_usd, record.positions) == (Decimal(7), {})
    assert (record.nav_usd, record.last_settled_at) == (before.nav_usd, before.last_settled_at)


def test_peak_stays_when_nav_falls(ledger: Books, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    assert settlement.nav is not None
    later = settlement.at + dt.timedelta(days=1)
    for nav_usd in (Decimal(999_999), Decimal(5)):
        settle(ledger, replace(settlement, at=later, nav=replace(settlement.nav, at=later, nav_usd=nav_usd)))
    record = ledger.register(SPEC, NOON)
    assert (record.nav_usd, record.peak_nav_usd) == (Decimal(5), Decimal(999_999))


def test_order_restated_for_a_split_is_kept_beside_what_was_decided(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    decision = sample_decision(1)
    commit(ledger, decision)
    order = decision.orders[0]
    now = replace(
        order, status=OrderStatus.PARTIALLY_FILLED, quantity=2 * order.quantity, filled_quantity=Decimal("0.125")
    )
    settlement = sample_settlement(decision)
    settle(ledger, replace(settlement, orders=(now,), fills=()))
    assert now in ledger.register(SPEC, NOON).open_orders
    trail = ledger.trail(order.id)
    assert (trail.order, trail.decision) == (now, decision)


def test_closed_position_is_gone(ledger: Books, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    closed = (Position("AAPL", Decimal(0), Decimal(1)), Position("IBM", Decimal("-2.5"), Decimal(3)))
    settle(ledger, replace(settlement, positions=closed))
    assert ledger.register(SPEC, NOON).positions == {"IBM": closed[1]}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"cash_usd": Decimal("Infinity")}, InvalidInput),
        ({"at": NOON.replace(tzinfo=None)}, InvalidInput),
        ({"positions": (Position("AAPL", Decimal(1), Decimal(1)),) * 2}, InvalidInput),
        ({"at": NOON}, Conflict),
        ({"orders": (sample_decision(9).orders[0],)}, NotFound),
        ({"orders": (sample_decision(1).orders[0].with_status(OrderStatus.ACCEPTED),)}, Conflict),
        ({"fills": (replace(sample_settlement(sample_decision(1)).fills[0], price=Decimal(1)),)}, Conflict),
        ({"fills": (replace(sample_settlement(sample_decision(1)).fills[0], id="new", order_id="x"),)}, NotFound),
    ],
)
def test_settlement_that_contradicts_the_record_changes_nothing(
    ledger: Books, traded: Decision, change: dict[str, object], error: type[Exception]
) -> None:
    before = ledger.register(SPEC, NOON)
    with pytest.raises(error):
        settle(ledger, replace(sample_settlement(traded), **{"cash_usd": Decimal(1), **change}))  # type: ignore[arg-type]
    assert ledger.register(SPEC, NOON) == before


def test_state_is_set_with_its_reason(ledger: Books, traded: Decision) -> None:
    ledger.set_state("demo", TradingState.HALTED, "operator", NOON)
    record = ledger.register(SPEC, NOON)
    assert (record.state, record.state_reason) == (TradingState.HALTED, "operator")
    assert record.state_since == NOON
    with pytest.raises(InvalidInput, match="time zone"):
        ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON.replace(tzinfo=None))
    assert ledger.register(SPEC, NOON) == record


def test_a_resumed_portfolio_counts_its_peak_anew(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    lost = replace(sample_settlement(traded), nav=NavPoint(NOON + dt.timedelta(days=9), Decimal(70), Decimal(70)))
    settle(ledger, replace(lost, at=lost.nav.at, orders=(), fills=()))
    ledger.set_state("demo", TradingState.REDUCING, "drawdown", NOON)
    assert ledger.register(SPEC, NOON).peak_nav_usd == before.peak_nav_usd
    ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON)
    assert ledger.register(SPEC, NOON).peak_nav_usd == Decimal(70)


def test_resuming_an_active_portfolio_keeps_its_peak(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    lost = replace(sample_settlement(traded), nav=NavPoint(NOON + dt.timedelta(days=9), Decimal(70), Decimal(70)))
    settle(ledger, replace(lost, at=lost.nav.at, orders=(), fills=()))
    ledger.set_state("demo", TradingState.ACTIVE, "resumed twice", NOON)
    assert ledger.register(SPEC, NOON).peak_nav_usd == before.peak_nav_usd


def test_a_state_meant_for_another_one_changes_nothing(ledger: Books, traded: Decision) -> None:
    ledger.set_state("demo", TradingState.HALTED, "operator", NOON)
    halted = ledger.register(SPEC, NOON)
    ledger.set_state("demo", TradingState.REDUCING, "drawdown", NOON, only_from=TradingState.ACTIVE)
    assert ledger.register(SPEC, NOON) == halted
    ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON, only_from=TradingState.HALTED)
    assert ledger.register(SPEC, NOON).state is TradingState.ACTIVE


def test_portfolios_do_not_mix(ledger: Books, traded: Decision) -> None:
    before = ledger.register(SPEC, NOON)
    ledger.register(sample_spec("other"), NOON)
    commit(ledger, sample_decision(1, portfolio="other"))
    ledger.set_state("other", TradingState.REDUCING, "drawdown", NOON)
    assert ledger.register(SPEC, NOON) == before
    assert len(ledger.register(sample_spec("other"), NOON).open_orders) == 5


def test_history_reads_back_in_order(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    decisions = [sample_decision(n) for n in range(1, 6)]
    settlements = [sample_settlement(decision) for decision in decisions]
    for decision, settlement in zip(decisions, settlements, strict=True):
        commit(ledger, decision)
        settle(ledger, settlement)
    for state in (TradingState.HALTED, TradingState.HALTED, TradingState.ACTIVE):
        ledger.set_state("demo", state, "drill", NOON)
    reader = _reader(ledger)
    assert reader.decisions("demo") == decisions
    assert reader.orders("demo") == [order for s in settlements for order in s.orders]
    assert reader.fills("demo") == [fill for s in settlements for fill in s.fills]
    assert reader.nav_points("demo") == [s.nav for s in settlements]
    assert len([c for c in reader.changes("demo") if isinstance(c, StateChange)]) == 2


def _reader(ledger: Books) -> SqlLedgerView | InMemoryLedger:
    """The fake answers questions itself."""
    assert isinstance(ledger, SqlLedger | InMemoryLedger)
    return ledger


def test_the_bars_that_a_session_was_settled_without_are_remembered_until_the_next(
    ledger: Books, traded: Decision
) -> None:
    settled = sample_settlement(traded)
    later = replace(settled, at=NOON.replace(year=2020), orders=(), fills=(), awaited=("AAA", "BBB"))
    assert later.nav is not None
    later = replace(later, nav=replace(later.nav, at=later.at))
    settle(ledger, later)
    assert ledger.register(SPEC, NOON).awaited == ("AAA", "BBB")
    settle(ledger, replace(later, nav=None, awaited=()))
    assert ledger.register(SPEC, NOON).awaited == ("AAA", "BBB")
    settle(ledger, replace(later, awaited=("BBB",)))
    assert ledger.register(SPEC, NOON).awaited == ("BBB",)


def test_a_target_waits_until_a_decision_answers_it_and_the_newest_counts(ledger: Books, traded: Decision) -> None:
    first, second = (
        Target(target_id("demo", NOON, {"AAPL": weight}), "demo", {"AAPL": weight}, NOON, "api")
        for weight in (0.1, 0.2)
    )
    assert ledger.pending_target("demo") is None
    for target in (first, second, second):
        ledger.set_target(target)
    assert ledger.pending_target("demo") == second
    assert ledger.decision_of(second.id) is None
    answer = replace(sample_decision(2), target_id=second.id)
    commit(ledger, answer)
    assert ledger.pending_target("demo") is None
    assert ledger.decision_of(second.id) == answer
    assert ledger.decision_of(first.id) is None


def test_targets_of_unknown_portfolios_and_weights_that_are_no_numbers_are_refused(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    with pytest.raises(NotFound, match="other"):
        ledger.set_target(Target("tgt_1", "other", {"AAPL": 0.1}, NOON, "api"))
    with pytest.raises(InvalidInput, match="AAPL"):
        ledger.set_target(Target("tgt_1", "demo", {"AAPL": float("nan")}, NOON, "api"))
    assert ledger.pending_target("demo") is None


def test_cash_without_a_trade_has_a_row_of_its_own_and_stands_in_the_trail(ledger: Books, traded: Decision) -> None:
    order = traded.orders[0]
    at = traded.decided_at + dt.timedelta(days=3)
    paid = CashEntry.of("demo", order.symbol, CashKind.DIVIDEND, at, Decimal(10), Decimal("12.5"), "10 shares")
    other = CashEntry.of("demo", "ZZZ", CashKind.DELISTING, at, Decimal(-1), Decimal(-7), "1 share")
    settled = replace(sample_settlement(traded), orders=(), fills=(), nav=None, entries=(paid, other))
    for _ in range(2):
        settle(ledger, settled)
    assert [c for c in ledger.changes("demo") if isinstance(c, CashEntry)] == [paid, other]
    assert ledger.trail(order.id).entries == (paid,)


def test_the_version_of_the_bars_is_kept_with_the_settlement(ledger: Books, traded: Decision) -> None:
    later = sample_settlement(traded)
    assert later.nav is not None
    settle(ledger, replace(later, bars_version=42))
    settle(ledger, replace(later, nav=None))
    assert ledger.record("demo").bars_version == 42


def test_an_unknown_portfolio_names_the_known_ones(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    with pytest.raises(NotFound, match="There are: demo"):
        ledger.record("other")


def test_a_spec_that_comes_again_is_no_change_and_a_changed_one_says_what(ledger: Books) -> None:
    ledger.register(SPEC, NOON)
    ledger.register(sample_spec(), NOON)
    assert ledger.changes("demo") == []
    stricter = SPEC.model_copy(update={"risk": SPEC.risk.model_copy(update={"stop_loss_pct": 5.0})})
    assert ledger.register(stricter, NOON).spec == stricter
    assert ledger.changes("demo") == [SpecChange(NOON, {"risk.stop_loss_pct": (20.0, 5.0)})]
    assert ledger.record("demo").spec == stricter
