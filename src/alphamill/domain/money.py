"""Rounding of money and shares: one step for prices and cash, a finer one for averages, the broker's for shares.

Cash and fill prices step in 1e-6 USD. Cents would be wrong by up to half a cent per fill, which a
golden number over hundreds of fills shows; exact products would grow digits without end. Average
prices are quotients and step in 1e-8, so that ten million shares still agree to the cent.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

CASH_STEP_USD: Final = Decimal("0.000001")
AVERAGE_STEP_USD: Final = Decimal("0.00000001")


def to_decimal(value: float | Decimal) -> Decimal:
    """The shortest decimal that reads back as `value`: 0.1 becomes 0.1, not its binary expansion."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def round_cash(amount_usd: Decimal) -> Decimal:
    """Half-even to `CASH_STEP_USD`, so that rounding has no drift."""
    return amount_usd.quantize(CASH_STEP_USD, rounding=ROUND_HALF_EVEN)


def round_average(price: Decimal) -> Decimal:
    """Half-even to `AVERAGE_STEP_USD`."""
    return price.quantize(AVERAGE_STEP_USD, rounding=ROUND_HALF_EVEN)


def round_shares(quantity: Decimal, step: Decimal) -> Decimal:
    """A signed quantity in whole steps, rounded toward zero. Exact: nothing is rounded up to a step on the way."""
    return quantity // step * step
