"""Do two engines agree? Fill by fill, then on what is left at the end."""

from collections.abc import Sequence
from decimal import Decimal

from alphamill.domain.money import CASH_STEP_USD
from alphamill.domain.orders import Fill

#: Shares: a float of a size that portfolios hold is off by less.
QUANTITY_GAP = Decimal("1e-9")


def differing_fills(ours: Sequence[Fill], theirs: Sequence[Fill]) -> list[str]:
    """In words, what differs; empty when both did the same.

    Fills are put side by side by session, symbol and side. Quantities agree within 1e-9 shares, prices and commissions
    within one step of our money, 1e-6 USD: ours are rounded to it, theirs are floats. A commission in percent may
    differ by what it charges for that step of the price.
    """
    rows, others = sorted(map(_row, ours)), sorted(map(_row, theirs))
    found = [f"{len(rows)} fills against {len(others)}"] if len(rows) != len(others) else []
    found += [f"{a} against {b}" for a, b in zip(rows, others, strict=False) if not _same(a, b)]
    return found


_Row = tuple[str, str, str, Decimal, Decimal, Decimal]


def _row(fill: Fill) -> _Row:
    """A session's open and its close share a date in UTC on the exchanges that we compare on."""
    day = f"{fill.filled_at:%Y-%m-%d}"
    return day, fill.symbol, fill.side.value, fill.quantity, fill.price, fill.commission_usd


def _same(a: _Row, b: _Row) -> bool:
    price, commission_usd = a[4:]
    gaps = (QUANTITY_GAP, CASH_STEP_USD, CASH_STEP_USD * (1 + commission_usd / price))
    return a[:3] == b[:3] and all(abs(x - y) <= gap for x, y, gap in zip(a[3:], b[3:], gaps, strict=True))
