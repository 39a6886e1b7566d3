"""From target weights to orders: whole steps of a share, sells first."""

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final

from alphamill.domain.money import round_shares
from alphamill.domain.orders import Order, Position, Side, order_id
from alphamill.errors import DataUnfit, InvalidWeights

#: Target weights come rounded to 1e-6: a difference this small is the position as it stands.
WEIGHT_STEP: Final = Decimal("0.000001")


def propose_orders(
    *,
    portfolio: str,
    decided_at: dt.datetime,
    target_weights: Mapping[str, float],
    nav_usd: Decimal,
    positions: Mapping[str, Position],
    prices: Mapping[str, Decimal],
    min_order_usd: Decimal,
    cash_buffer_pct: float,
    share_step: Decimal = Decimal(1),
    reasons: Mapping[str, str] | None = None,
    held: Collection[str] = (),
) -> list[Order]:
    """Orders that bring positions to their targets.

    A target is ``weight * nav * (1 - buffer) / price`` shares, rounded toward zero to `share_step`. An
    order never goes against its target's direction: the buffer alone sells nothing. Differences under
    `min_order_usd` are left alone, except the one that closes a position.

    Parameters
    ----------
    target_weights
        Fractions of NAV by symbol. Symbols not named here, and those in `held`, are not traded.
    prices
        Raw closes of the decision's bar.
    cash_buffer_pct
        Part of NAV never allocated.
    share_step
        Smallest quantity traded. A position that is no multiple of it becomes one with its first order.
    reasons
        By symbol, appended to "target w from w0".

    Returns
    -------
    list of Order
        PENDING, sells before buys, then by symbol.

    Raises
    ------
    DataUnfit
        NAV or a needed price is missing, not finite or not above zero.
    InvalidWeights
        A weight is not finite.
    """
    if not nav_usd.is_finite() or nav_usd <= 0:
        raise DataUnfit(f"NAV is {nav_usd}; nothing can be sized.", field="nav_usd", remedy="Fund the portfolio.")
    base = nav_usd * (1 - Decimal(str(cash_buffer_pct)) / 100)
    orders = []
    for symbol in sorted(set(target_weights) - set(held)):
        position = positions.get(symbol)
        if position is None and target_weights[symbol] == 0:
            continue  # neither held nor wanted: its price is not needed
        price = _price(symbol, prices)
        weight = _weight(symbol, target_weights[symbol])
        quantity = position.quantity if position else Decimal(0)
        current = quantity * price / nav_usd
        change = _change(weight, current, base / price, quantity, share_step)
        if not change or (weight and abs(change) * price < min_order_usd):
            continue
        side = Side.BUY if change > 0 else Side.SELL
        id_ = order_id(portfolio, decided_at, symbol, side, abs(change))
        reason = _reason(weight, current, (reasons or {}).get(symbol, ""))
        orders.append(Order(id_, portfolio, decided_at, symbol, side, abs(change), price, reason))
    return sorted(orders, key=lambda order: (order.side is Side.BUY, order.symbol))


def _change(
    weight: Decimal, current: Decimal, shares_per_weight: Decimal, quantity: Decimal, share_step: Decimal
) -> Decimal:
    """Signed shares to trade; zero when the target is the position as it stands."""
    if abs(weight - current) <= WEIGHT_STEP and weight:
        return Decimal(0)
    change = round_shares(weight * shares_per_weight, share_step) - quantity
    return change if change * (weight - current) > 0 else Decimal(0)


def _price(symbol: str, prices: Mapping[str, Decimal]) -> Decimal:
    price = prices.get(symbol)
    if price is None or not price.is_finite() or price <= 0:
        raise DataUnfit(f"{symbol} has the price {price}.", field=symbol, remedy="Ingest its bar.")
    return price


def _weight(symbol: str, weight: float) -> Decimal:
    value = Decimal(str(float(weight)))
    if not value.is_finite():
        raise InvalidWeights(f"{symbol} has weight {weight}.", field=symbol, remedy="Weights are finite numbers.")
    return value


def _reason(weight: Decimal, current: Decimal, because: str) -> str:
    text = f"target {weight:.2f} from {current:.2f}"
    return f"{text}, {because}" if because else text
