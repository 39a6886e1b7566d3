"""A corrected close of the newest session: what was filled stays, what follows counts with it in ledger and broker."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from alphamill.execution import reconcile
from alphamill.testing.broker import cash_at, fills_at


@pytest.mark.parametrize("restarted", [False, True])
def test_a_dividend_after_a_corrected_close_is_the_same_in_ledger_and_broker(
    system, parts, make_live, restarted: bool
) -> None:
    first, second, third = system.ahead[:3]
    system.run(first)
    system.run(second)
    held = system.ledger.record(system.spec.name).positions["SYN000"].quantity
    fills = fills_at(system.broker)
    lower = pl.col("close") * 0.9
    corrected = second.filter(pl.col("symbol") == "SYN000").with_columns(
        close=lower.round(2), low=pl.min_horizontal("low", lower - 1)
    )
    system.post(corrected)
    system.live.close_sessions()
    if restarted:
        system.live = make_live(parts)
    assert fills_at(system.broker) == fills
    before = cash_at(system.broker)
    system.run(third.with_columns(price_factor=pl.when(pl.col("symbol") == "SYN000").then(0.95).otherwise(1.0)))
    dividend = held * Decimal(str(corrected["close"][0])) * Decimal("0.05")
    traded = sum((fill.cash_usd for fill in fills_at(system.broker)[len(fills) :]), Decimal(0))
    assert abs(cash_at(system.broker) - before - traded - dividend) < Decimal("0.00001")
    record = system.ledger.record(system.spec.name)
    assert record.cash_usd == cash_at(system.broker)
    assert reconcile(record, system.broker) == []


def _split_of_the_first_symbol(session: pl.DataFrame) -> pl.DataFrame:
    own = pl.col("symbol") == "SYN000"
    halved = [pl.when(own).then(pl.col(c) / 2).otherwise(pl.col(c)).alias(c) for c in ("open", "high", "low", "close")]
    factors = [pl.when(own).then(0.5).otherwise(1.0).alias(c) for c in ("price_factor", "split_factor")]
    return session.with_columns(*halved, *factors)


def test_a_restart_between_match_and_settlement_on_a_split_day_alarms_nobody(system, parts, make_live) -> None:
    system.run(system.ahead[0])
    system.run(system.ahead[1])
    assert "SYN000" in system.ledger.record(system.spec.name).positions
    session = _split_of_the_first_symbol(system.ahead[2])
    system.store.append(session)
    system.broker.on_bars(session)  # and here the process dies: the venue's books are in new shares
    record = system.ledger.record(system.spec.name)
    assert reconcile(record, system.broker) != []
    told = len(system.notifier.sent)
    system.live = make_live(parts)
    assert system.live.disagreements() != []
    assert len(system.notifier.sent) == told
    system.live.process()
    assert system.live.disagreements() == []
    assert len(system.notifier.sent) == told
    assert reconcile(system.ledger.record(system.spec.name), system.broker) == []
    assert system.last_decision().refusals == ()


def test_a_difference_that_stays_once_the_session_is_settled_is_told_with_the_amount(system, parts, make_live) -> None:
    """What a correction that reaches ledger and venue in different sessions leaves behind: a dividend's difference."""
    system.run(system.ahead[0])
    system.store.append(system.ahead[1])
    system.broker.on_bars(system.ahead[1])
    account = system.broker._books.accounts["demo"]
    system.broker._books.accounts["demo"] = replace(account, cash_usd=account.cash_usd + Decimal("12.34"))
    system.live = make_live(parts)
    told = len(system.notifier.sent)
    system.live.process()
    refusal = system.last_decision().refusals[0]
    assert (refusal.code, system.last_decision().orders) == ("NOT_RECONCILED", ())
    assert refusal.detail.endswith(": +12.340000")
    assert "+12.340000" in system.notifier.sent[told][1]
