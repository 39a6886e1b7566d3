"""The `Ledger` port, kept by the fake and by SQL in memory and in a file."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import LedgerReader, SqlLedger
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.ledger import NavPoint, Settlement
from alphamill.domain.orders import OrderStatus, Position
from alphamill.errors import Conflict, InvalidInput, NotFound
from alphamill.ports import Ledger
from alphamill.testing.decisions import sample_decision, sample_settlement, sample_spec

SPEC = sample_spec()
NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new ledger; tests copy it, because bringing up the schema costs more than most of them."""
    path = tmp_path_factory.mktemp("ledger") / "books" / "ledger.db"
    SqlLedger(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["fake", "memory", "file"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, migrated_file: Path) -> Iterator[Ledger]:
    if request.param == "fake":
        yield InMemoryLedger()
        return
    if request.param == "file":
        shutil.copy(migrated_file, tmp_path / "ledger.db")
    opened = SqlLedger("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def traded(ledger: Ledger) -> Decision:
    """A ledger with one decision, filled and settled."""
    ledger.load(SPEC)
    decision = sample_decision(1)
    ledger.commit_decision(decision)
    ledger.settle(sample_settlement(decision))
    return decision


def test_unknown_portfolio_is_created_active_with_its_cash(ledger: Ledger) -> None:
    record = ledger.load(SPEC)
    assert (record.state, record.cash_usd, record.nav_usd) == (TradingState.ACTIVE, Decimal(100_000), Decimal(100_000))
    assert (record.positions, record.open_orders) == ({}, ())
    assert (record.last_settled_at, record.last_decision_at, record.last_fill_id) == (None, None, None)
    assert ledger.load(SPEC) == record


def test_spec_of_known_portfolio_changes_no_money(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    assert ledger.load(SPEC.model_copy(update={"initial_cash_usd": Decimal(5)})) == before


def test_committed_decision_comes_back_equal_and_leaves_its_orders_open(ledger: Ledger) -> None:
    ledger.load(SPEC)
    decision = sample_decision(1)
    ledger.commit_decision(decision)
    record = ledger.load(SPEC)
    assert record.open_orders == decision.orders
    assert (record.last_decision_at, record.model_version) == (decision.decided_at, decision.model_version)
    for order in decision.orders:
        trail = ledger.explain(order.id)
        assert (trail.order, trail.fills, trail.decision) == (order, (), decision)


def test_values_come_back_digit_for_digit(ledger: Ledger) -> None:
    ledger.load(SPEC)
    decision = sample_decision(2)
    odd = {"tiny": 5e-324, "third": 1 / 3, "zero": -0.0, "big": 1.7976931348623157e308}
    snapshots = (replace(decision.snapshots[0], values=odd), *decision.snapshots[1:])
    decision = replace(decision, snapshots=snapshots, prices={"AAPL": Decimal("1.500"), "FB": Decimal("1E-9")})
    ledger.commit_decision(decision)
    back = ledger.explain(decision.orders[0].id).decision
    assert repr(back) == repr(decision)


def test_decision_that_asked_no_model_keeps_the_last_version(ledger: Ledger, traded: Decision) -> None:
    quiet = replace(sample_decision(2), model_version="", orders=())
    ledger.commit_decision(quiet)
    record = ledger.load(SPEC)
    assert (record.model_version, record.last_decision_at) == (traded.model_version, quiet.decided_at)


def test_same_decision_again_changes_nothing(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    ledger.commit_decision(traded)
    assert ledger.load(SPEC) == before
    assert ledger.explain(traded.orders[0].id).order.status is OrderStatus.FILLED


def test_other_decision_under_the_same_id_is_a_conflict(ledger: Ledger, traded: Decision) -> None:
    with pytest.raises(Conflict, match="other content"):
        ledger.commit_decision(replace(traded, run_id="another"))
    assert ledger.explain(traded.orders[0].id).decision == traded


def test_order_of_another_decision_is_a_conflict_and_nothing_is_kept(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    second = replace(sample_decision(2), orders=(*sample_decision(2).orders[1:], traded.orders[0]))
    with pytest.raises(Conflict, match=traded.orders[0].id):
        ledger.commit_decision(second)
    assert ledger.load(SPEC) == before
    with pytest.raises(NotFound):
        ledger.explain(second.orders[0].id)


def test_unknown_names_are_not_found(ledger: Ledger) -> None:
    decision = sample_decision(1)
    with pytest.raises(NotFound, match="demo"):
        ledger.commit_decision(decision)
    with pytest.raises(NotFound, match="demo"):
        ledger.settle(sample_settlement(decision))
    with pytest.raises(NotFound, match="demo"):
        ledger.set_state("demo", TradingState.HALTED, "why", NOON)
    with pytest.raises(NotFound, match="ord_x"):
        ledger.explain("ord_x")


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
def test_decision_that_cannot_be_kept_exactly_is_refused(ledger: Ledger, change: dict[str, object], field: str) -> None:
    ledger.load(SPEC)
    with pytest.raises(InvalidInput) as refused:
        ledger.commit_decision(replace(sample_decision(1), **change))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert ledger.load(SPEC).last_decision_at is None


def test_settlement_updates_everything_together(ledger: Ledger, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    assert settlement.nav is not None
    record = ledger.load(SPEC)
    assert record.cash_usd == settlement.cash_usd
    assert record.positions == {p.symbol: p for p in settlement.positions}
    assert (record.nav_usd, record.last_settled_at) == (settlement.nav.nav_usd, settlement.nav.at)
    assert record.peak_nav_usd == max(Decimal(100_000), settlement.nav.nav_usd)
    assert record.open_orders == ()
    assert record.last_fill_id == settlement.fills[-1].id
    trail = ledger.explain(traded.orders[2].id)
    assert (trail.order, trail.fills) == (settlement.orders[2], (settlement.fills[2],))
    assert trail.decision == traded


def test_same_settlement_again_changes_nothing(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    ledger.settle(sample_settlement(traded))
    assert ledger.load(SPEC) == before
    assert ledger.explain(traded.orders[0].id).fills == sample_settlement(traded).fills[:1]


def test_repeated_fill_does_not_move_the_last_fill_back(ledger: Ledger, traded: Decision) -> None:
    old = sample_settlement(traded)
    later = replace(old, at=old.at + dt.timedelta(days=1), fills=old.fills[:1], nav=None)
    ledger.settle(later)
    assert ledger.load(SPEC).last_fill_id == old.fills[-1].id


def test_settlement_without_nav_leaves_the_close_where_it_was(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    between = Settlement("demo", before.last_settled_at or NOON, (), (), Decimal(7), (), None)
    ledger.settle(between)
    record = ledger.load(SPEC)
    assert (record.cash_usd, record.positions) == (Decimal(7), {})
    assert (record.nav_usd, record.last_settled_at) == (before.nav_usd, before.last_settled_at)


def test_peak_stays_when_nav_falls(ledger: Ledger, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    assert settlement.nav is not None
    later = settlement.at + dt.timedelta(days=1)
    for nav_usd in (Decimal(999_999), Decimal(5)):
        ledger.settle(replace(settlement, at=later, nav=replace(settlement.nav, at=later, nav_usd=nav_usd)))
    record = ledger.load(SPEC)
    assert (record.nav_usd, record.peak_nav_usd) == (Decimal(5), Decimal(999_999))


def test_order_restated_for_a_split_is_kept_beside_what_was_decided(ledger: Ledger) -> None:
    ledger.load(SPEC)
    decision = sample_decision(1)
    ledger.commit_decision(decision)
    order = decision.orders[0]
    now = replace(
        order, status=OrderStatus.PARTIALLY_FILLED, quantity=2 * order.quantity, filled_quantity=Decimal("0.125")
    )
    settlement = sample_settlement(decision)
    ledger.settle(replace(settlement, orders=(now,), fills=()))
    assert now in ledger.load(SPEC).open_orders
    trail = ledger.explain(order.id)
    assert (trail.order, trail.decision) == (now, decision)


def test_closed_position_is_gone(ledger: Ledger, traded: Decision) -> None:
    settlement = sample_settlement(traded)
    closed = (Position("AAPL", Decimal(0), Decimal(1)), Position("IBM", Decimal("-2.5"), Decimal(3)))
    ledger.settle(replace(settlement, positions=closed))
    assert ledger.load(SPEC).positions == {"IBM": closed[1]}


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
    ledger: Ledger, traded: Decision, change: dict[str, object], error: type[Exception]
) -> None:
    before = ledger.load(SPEC)
    with pytest.raises(error):
        ledger.settle(replace(sample_settlement(traded), **{"cash_usd": Decimal(1), **change}))  # type: ignore[arg-type]
    assert ledger.load(SPEC) == before


def test_state_is_set_with_its_reason(ledger: Ledger, traded: Decision) -> None:
    ledger.set_state("demo", TradingState.HALTED, "operator", NOON)
    record = ledger.load(SPEC)
    assert (record.state, record.state_reason) == (TradingState.HALTED, "operator")
    assert record.state_since == NOON
    with pytest.raises(InvalidInput, match="time zone"):
        ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON.replace(tzinfo=None))
    assert ledger.load(SPEC) == record


def test_a_resumed_portfolio_counts_its_peak_anew(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    lost = replace(sample_settlement(traded), nav=NavPoint(NOON + dt.timedelta(days=9), Decimal(70), Decimal(70)))
    ledger.settle(replace(lost, at=lost.nav.at, orders=(), fills=()))
    ledger.set_state("demo", TradingState.REDUCING, "drawdown", NOON)
    assert ledger.load(SPEC).peak_nav_usd == before.peak_nav_usd
    ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON)
    assert ledger.load(SPEC).peak_nav_usd == Decimal(70)


def test_resuming_an_active_portfolio_keeps_its_peak(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    lost = replace(sample_settlement(traded), nav=NavPoint(NOON + dt.timedelta(days=9), Decimal(70), Decimal(70)))
    ledger.settle(replace(lost, at=lost.nav.at, orders=(), fills=()))
    ledger.set_state("demo", TradingState.ACTIVE, "resumed twice", NOON)
    assert ledger.load(SPEC).peak_nav_usd == before.peak_nav_usd


def test_a_state_meant_for_another_one_changes_nothing(ledger: Ledger, traded: Decision) -> None:
    ledger.set_state("demo", TradingState.HALTED, "operator", NOON)
    halted = ledger.load(SPEC)
    ledger.set_state("demo", TradingState.REDUCING, "drawdown", NOON, only_from=TradingState.ACTIVE)
    assert ledger.load(SPEC) == halted
    ledger.set_state("demo", TradingState.ACTIVE, "resume", NOON, only_from=TradingState.HALTED)
    assert ledger.load(SPEC).state is TradingState.ACTIVE


def test_portfolios_do_not_mix(ledger: Ledger, traded: Decision) -> None:
    before = ledger.load(SPEC)
    ledger.load(sample_spec("other"))
    ledger.commit_decision(sample_decision(1, portfolio="other"))
    ledger.set_state("other", TradingState.REDUCING, "drawdown", NOON)
    assert ledger.load(SPEC) == before
    assert len(ledger.load(sample_spec("other")).open_orders) == 5


def test_history_reads_back_in_order(ledger: Ledger) -> None:
    ledger.load(SPEC)
    decisions = [sample_decision(n) for n in range(1, 6)]
    settlements = [sample_settlement(decision) for decision in decisions]
    for decision, settlement in zip(decisions, settlements, strict=True):
        ledger.commit_decision(decision)
        ledger.settle(settlement)
    for state in (TradingState.HALTED, TradingState.HALTED, TradingState.ACTIVE):
        ledger.set_state("demo", state, "drill", NOON)
    reader = _reader(ledger)
    assert reader.decisions("demo") == decisions
    assert reader.orders("demo") == [order for s in settlements for order in s.orders]
    assert reader.fills("demo") == [fill for s in settlements for fill in s.fills]
    assert reader.nav_points("demo") == [s.nav for s in settlements]
    assert len(reader.state_history("demo")) == 2


def _reader(ledger: Ledger) -> LedgerReader | InMemoryLedger:
    """The fake answers questions itself."""
    assert isinstance(ledger, SqlLedger | InMemoryLedger)
    return ledger.reader if isinstance(ledger, SqlLedger) else ledger


def test_the_bars_that_a_session_was_settled_without_are_remembered_until_the_next(
    ledger: Ledger, traded: Decision
) -> None:
    settled = sample_settlement(traded)
    later = replace(settled, at=NOON.replace(year=2020), orders=(), fills=(), awaited=("AAA", "BBB"))
    assert later.nav is not None
    later = replace(later, nav=replace(later.nav, at=later.at))
    ledger.settle(later)
    assert ledger.load(SPEC).awaited == ("AAA", "BBB")
    ledger.settle(replace(later, nav=None, awaited=()))
    assert ledger.load(SPEC).awaited == ("AAA", "BBB")
    ledger.settle(replace(later, awaited=("BBB",)))
    assert ledger.load(SPEC).awaited == ("BBB",)
