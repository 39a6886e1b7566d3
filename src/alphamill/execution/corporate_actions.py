"""What splits, dividends and delistings do to a position and to an open order: the value stays, the form changes."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from alphamill.domain.bars import MAX_DIVIDEND_FACTOR
from alphamill.domain.money import round_average, round_cash, round_shares, to_decimal
from alphamill.domain.orders import Order, OrderStatus, Position
from alphamill.errors import DataUnfit, InvalidInput

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


def settlement_cash(position: Position, cash_per_share_usd: Decimal) -> Decimal:
    """Cash a position is worth once its symbol stopped trading: quantity * cash per share; a short pays.

    Raises
    ------
    InvalidInput
        The cash per share is not finite or below zero.
    """
    if not cash_per_share_usd.is_finite() or cash_per_share_usd < 0:
        raise InvalidInput(
            f"{position.symbol}: cash of {cash_per_share_usd} USD a share.",
            field="cash_per_share_usd",
            remedy="Give 0 or more in universe.delistings.",
        )
    return round_cash(position.quantity * cash_per_share_usd)


def split_position(
    position: Position, ratio: Fraction, previous_close: Decimal, share_step: Decimal
) -> tuple[Position, Decimal]:
    """The position after a split, and cash in lieu of what is left over of a step.

    The quantity is rounded toward zero to `share_step`; the rest is paid (by a short: taken) at the adjusted previous
    close. The average price moves by the inverse, so that quantity times average plus the rest's cost is unchanged.
    """
    exact = position.quantity * ratio.numerator / ratio.denominator
    quantity = round_shares(exact, share_step)
    adjusted = previous_close * ratio.denominator / ratio.numerator
    average = round_average(position.average_price * ratio.denominator / ratio.numerator)
    return replace(position, quantity=quantity, average_price=average), round_cash((exact - quantity) * adjusted)


def split_order(order: Order, split_factor: float | Decimal, share_step: Decimal) -> Order:
    """An open order in new shares: what has filled and what is left, each rounded toward zero to `share_step`.

    Id and reference price stay: they say what was decided, and at which raw close. When nothing is left to fill, it is
    CANCELLED.
    """
    if split_factor == 1:
        return order
    ratio = share_ratio(split_factor)
    if ratio == 1:
        return order
    filled = _split_quantity(order.filled_quantity, ratio, share_step)
    left = _split_quantity(order.quantity - order.filled_quantity, ratio, share_step)
    detail = f"split {ratio.numerator}:{ratio.denominator}: {order.quantity:f} became {filled + left:f}"
    if not filled + left:
        return order.with_status(OrderStatus.CANCELLED, detail)
    status = order.status if left else OrderStatus.CANCELLED
    return replace(order, status=status, quantity=filled + left, filled_quantity=filled, detail=detail)


def _split_quantity(quantity: Decimal, ratio: Fraction, share_step: Decimal) -> Decimal:
    return round_shares(quantity * ratio.numerator / ratio.denominator, share_step)
