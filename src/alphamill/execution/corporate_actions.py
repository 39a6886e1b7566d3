"""What a split and a dividend do to a position: its value stays, its form changes."""

import math
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Final

from alphamill.domain.bars import MAX_DIVIDEND_FACTOR
from alphamill.domain.orders import Position
from alphamill.errors import DataUnfit, InvalidInput
from alphamill.execution.money import round_average, round_cash, to_decimal

#: Below this, 1 - dividend factor is float noise and pays nothing.
DIVIDEND_NOISE: Final = Decimal("1e-9")


def share_ratio(split_factor: float | Decimal) -> Fraction:
    """New shares per old share: 2 for a split factor of 0.5, exactly 3 for 0.3333333333333333.

    A split is a ratio of small whole numbers, so the float is read as the nearest one.

    Raises
    ------
    InvalidInput
        The factor is not finite or not above zero.
    """
    factor = float(split_factor)
    if not math.isfinite(factor) or factor <= 0:
        raise InvalidInput(
            f"split factor {split_factor} is not above zero.", field="split_factor", remedy="Mend the bar."
        )
    exact = Fraction(to_decimal(split_factor))
    near = exact.limit_denominator(1000)
    return 1 / (near if near and abs(near / exact - 1) < Fraction(1, 10**6) else exact)


def dividend_factor(symbol: str, price_factor: float | Decimal, split_factor: float | Decimal) -> Decimal:
    """The part of `price_factor` that is no split: 1 - dividend / previous close.

    Raises
    ------
    InvalidInput
        A factor is not finite or not above zero.
    DataUnfit
        The factor is above one: no dividend explains it.
    """
    if not math.isfinite(price_factor) or price_factor <= 0:
        raise InvalidInput(
            f"{symbol}: price factor {price_factor} is not above zero.", field="price_factor", remedy="Mend the bar."
        )
    ratio = share_ratio(split_factor)
    factor = to_decimal(price_factor) * ratio.numerator / ratio.denominator
    if factor > to_decimal(MAX_DIVIDEND_FACTOR):
        raise DataUnfit(
            f"{symbol}: price factor {price_factor} over split factor {split_factor} is {factor:.6f}, above one.",
            field="price_factor",
            remedy="Validate the bars again; no dividend raises earlier prices.",
        )
    return Decimal(1) if abs(1 - factor) < DIVIDEND_NOISE else factor


def dividend_cash(position: Position, factor: Decimal, previous_close: Decimal) -> Decimal:
    """Cash a position receives (a short pays): quantity * previous_close * (1 - dividend factor)."""
    return round_cash(position.quantity * previous_close * (1 - factor))


def split_position(position: Position, ratio: Fraction, previous_close: Decimal) -> tuple[Position, Decimal]:
    """The position after a split, and cash in lieu of the fraction of a share.

    A whole position stays whole: the fraction is paid at the adjusted previous close. The average
    price moves by the inverse, so that quantity times average plus the fraction's cost is unchanged.
    """
    exact = position.quantity * ratio.numerator / ratio.denominator
    whole = position.quantity == position.quantity.to_integral_value()
    quantity = exact.to_integral_value(rounding=ROUND_DOWN) if whole else exact
    adjusted = previous_close * ratio.denominator / ratio.numerator
    average = round_average(position.average_price * ratio.denominator / ratio.numerator)
    return replace(position, quantity=quantity, average_price=average), round_cash((exact - quantity) * adjusted)


def split_quantity(quantity: Decimal, ratio: Fraction) -> Decimal:
    """An open order's quantity after a split; a whole one stays whole, rounded down."""
    exact = quantity * ratio.numerator / ratio.denominator
    whole = quantity == quantity.to_integral_value()
    return exact.to_integral_value(rounding=ROUND_DOWN) if whole else exact
