"""The comparison itself: what it calls a difference."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from alphamill.domain.orders import Fill, Side
from benchmarks.peers.agreement import differing_fills

AT = dt.datetime(2024, 3, 6, 14, 30, tzinfo=dt.UTC)
FILL = Fill("f", "o", "AAA", Side.BUY, Decimal(500), Decimal("102"), Decimal("25.5"), AT)


def test_same_fill_at_another_hour_of_the_session_agrees() -> None:
    assert not differing_fills([FILL], [replace(FILL, id="g", filled_at=AT.replace(hour=21))])


@pytest.mark.parametrize(
    "other",
    [
        replace(FILL, symbol="BBB"),
        replace(FILL, side=Side.SELL),
        replace(FILL, quantity=Decimal("499.99999")),
        replace(FILL, price=Decimal("102.00001")),
        replace(FILL, commission_usd=Decimal("25.50001")),
        replace(FILL, filled_at=AT + dt.timedelta(days=1)),
    ],
)
def test_any_other_fill_is_a_difference(other: Fill) -> None:
    assert differing_fills([FILL], [other])


def test_missing_fill_is_a_difference() -> None:
    assert differing_fills([FILL], []) == ["1 fills against 0"]
