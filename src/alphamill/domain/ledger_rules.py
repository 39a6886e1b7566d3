"""What no ledger may take in: values that could not be given back exactly, or that would poison a sum."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from alphamill.domain.decimal_column import DecimalColumn
from alphamill.domain.decisions import Decision
from alphamill.domain.ledger import Settlement, Target
from alphamill.domain.orders import Order, OrderStatus, Position
from alphamill.errors import Fenced, InvalidInput, StaleRevision


def check_decision(decision: Decision) -> None:
    """Refuse a decision that cannot be recorded exactly.

    Raises
    ------
    InvalidInput
        A float or Decimal that is not finite, a naive datetime, an order of another portfolio, an order
        that is not PENDING and unfilled, or two orders with one id. Names the field.
    """
    require_zone("decided_at", decision.decided_at)
    _require_money("nav_usd", (decision.nav_usd,))
    if not isinstance(decision.prices, DecimalColumn):  # that is finite, and its decimals are made when read
        _require_money("prices", decision.prices.values())
    for snapshot in decision.snapshots:
        if snapshot.ts.tzinfo is None or not all(map(math.isfinite, snapshot.values.values())):
            require_zone(f"snapshots.{snapshot.symbol}.ts", snapshot.ts)
            _require_finite(f"snapshots.{snapshot.symbol}", snapshot.values)
    for forecast in decision.forecasts:
        if forecast.ts.tzinfo is None or not (math.isfinite(forecast.mean) and math.isfinite(forecast.std)):
            require_zone(f"forecasts.{forecast.symbol}.ts", forecast.ts)
            _require_finite(f"forecasts.{forecast.symbol}", {"mean": forecast.mean, "std": forecast.std})
    _require_finite("weights_before", decision.weights_before)
    _require_finite("target_weights", decision.target_weights)
    for order in decision.orders:
        _check_new_order(order, decision.portfolio)
    if len({order.id for order in decision.orders}) != len(decision.orders):
        raise InvalidInput(f"decision {decision.id} holds one order id twice.", field="orders")


def check_settlement(settlement: Settlement, checked: Mapping[str, Position] | None = None) -> None:
    """Refuse a settlement with a value that is not finite, a naive datetime or a symbol held twice (`InvalidInput`).

    `checked` are positions that passed before; of these, the same objects are not looked at again.
    """
    require_zone("at", settlement.at)
    _require_money("cash_usd", (settlement.cash_usd,))
    for order in settlement.orders:
        _require_money(f"orders.{order.id}", (order.quantity, order.filled_quantity))
    for fill in settlement.fills:
        require_zone(f"fills.{fill.id}.filled_at", fill.filled_at)
        _require_money(f"fills.{fill.id}", (fill.quantity, fill.price, fill.commission_usd))
    passed = checked or {}
    for position in settlement.positions:
        if passed.get(position.symbol) is position:
            continue
        best = () if position.extreme_price is None else (position.extreme_price,)
        numbers = (position.quantity, position.average_price, *best)
        if not all(map(_is_money, numbers)):
            _require_money(f"positions.{position.symbol}", numbers)
    for entry in settlement.entries:
        require_zone(f"entries.{entry.id}.at", entry.at)
        _require_money(f"entries.{entry.id}", (entry.quantity, entry.amount_usd))
    if len({p.symbol for p in settlement.positions}) != len(settlement.positions):
        raise InvalidInput("one symbol is held twice.", field="positions", remedy="Add up positions per symbol.")
    if settlement.nav is not None:
        require_zone("nav.at", settlement.nav.at)
        _require_money("nav", (settlement.nav.nav_usd, settlement.nav.cash_usd))


def require_zone(field: str, at: dt.datetime) -> None:
    """`InvalidInput` for a naive datetime."""
    if at.tzinfo is None:
        raise InvalidInput(
            f"{field} {at.isoformat()} has no time zone.", field=field, remedy="Pass UTC-aware datetimes."
        )


def _check_new_order(order: Order, portfolio: str) -> None:
    require_zone(f"orders.{order.id}.decided_at", order.decided_at)
    _require_money(f"orders.{order.id}", (order.quantity, order.reference_price))
    if order.portfolio != portfolio:
        raise InvalidInput(f"order {order.id} belongs to {order.portfolio!r}, not {portfolio!r}.", field="orders")
    if order.status is not OrderStatus.PENDING or order.filled_quantity != 0:
        raise InvalidInput(
            f"order {order.id} is {order.status}, filled {order.filled_quantity}.",
            field="orders",
            remedy="A decision commits PENDING orders; what becomes of them is settled.",
        )


def _require_finite(field: str, values: dict[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise InvalidInput(f"{field}.{name} is {value}.", field=f"{field}.{name}", remedy="Refuse the symbol.")


def _is_money(value: Decimal) -> bool:
    return isinstance(value, Decimal) and value.is_finite()


def _require_money(field: str, values: Iterable[Decimal]) -> None:
    for value in values:
        if not _is_money(value):
            raise InvalidInput(f"{field} holds {value!r}.", field=field, remedy="Money and quantities are Decimal.")


def check_target(target: Target) -> None:
    """`InvalidInput` for a weight that is not finite, or a naive datetime."""
    require_zone("at", target.at)
    _require_finite("weights", dict(target.weights))


def require_revision(portfolio: str, named: int, found: int) -> None:
    """`StaleRevision` unless a write names the revision that the books have."""
    if named != found:
        raise StaleRevision(
            f"the books of {portfolio} are at revision {found}, the write was computed from {named}.",
            field="revision",
            remedy="Read the record again and decide anew: somebody wrote in between.",
        )


def require_token(token: int | None, granted: int | None) -> None:
    """`Fenced` when another holder was granted the lease, or when one is in use and the writer has none."""
    if granted is None or token == granted:
        return
    said = "no lease" if token is None else f"token {token}"
    raise Fenced(
        f"the write comes with {said}, the newest grant of the lease has token {granted}.",
        field="token",
        remedy="Another trader acts: stand by, and acquire the lease before writing.",
    )


def spec_difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """By dotted field, what two documents of a spec say differently; None where one does not have it."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= spec_difference(before, after, f"{prefix}{name}.")
        elif before != after:
            found[f"{prefix}{name}"] = (before, after)
    return found
