"""A corrected close of the newest session: what was filled stays, what follows counts with it in ledger and broker."""

from decimal import Decimal

import polars as pl
import pytest

from alphamill.execution import reconcile


@pytest.mark.parametrize("restarted", [False, True])
def test_a_dividend_after_a_corrected_close_is_the_same_in_ledger_and_broker(
    system, parts, make_live, restarted: bool
) -> None:
    first, second, third = system.ahead[:3]
    system.run(first)
    system.run(second)
    held = system.ledger.record(system.spec.name).positions["SYN000"].quantity
    fills = system.broker.fills("demo")
    lower = pl.col("close") * 0.9
    corrected = second.filter(pl.col("symbol") == "SYN000").with_columns(
        close=lower.round(2), low=pl.min_horizontal("low", lower - 1)
    )
    system.post(corrected)
    system.live.close_sessions()
    if restarted:
        system.live = make_live(parts)
    assert system.broker.fills("demo") == fills
    before = system.broker.cash_usd("demo")
    system.run(third.with_columns(price_factor=pl.when(pl.col("symbol") == "SYN000").then(0.95).otherwise(1.0)))
    dividend = held * Decimal(str(corrected["close"][0])) * Decimal("0.05")
    traded = sum((fill.cash_usd for fill in system.broker.fills("demo")[len(fills) :]), Decimal(0))
    assert abs(system.broker.cash_usd("demo") - before - traded - dividend) < Decimal("0.00001")
    record = system.ledger.record(system.spec.name)
    assert record.cash_usd == system.broker.cash_usd("demo")
    assert reconcile(record, system.broker) == []
