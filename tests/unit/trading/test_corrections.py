"""A corrected close of the newest session: what was filled stays, what follows counts with it in ledger and broker."""

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
    held = system.ledger.load(system.spec).positions["SYN000"].quantity
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
    record = system.ledger.load(system.spec)
    assert record.cash_usd == cash_at(system.broker)
    assert reconcile(record, system.broker) == []
