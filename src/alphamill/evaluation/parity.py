"""Did live trade what the backtest trades? Orders, fills and equity, one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from alphamill.domain.ledger import NavPoint
from alphamill.domain.orders import Fill, Order


@dataclass(frozen=True, slots=True)
class Traded:
    """What one run of the loop did, in order."""

    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    nav_points: tuple[NavPoint, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """How much was compared, and every difference in words; `holds` when there is none."""

    orders: int
    fills: int
    nav_points: int
    differences: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.differences


def parity(live: Traded, backtest: Traded) -> Parity:
    """Compare exactly: ids, quantities, prices, commissions and NAV to the last digit.

    The status of an order and its explanation are not compared: the last ones may still be open.
    """
    differences = [
        *_differences("order", [_order(o) for o in live.orders], [_order(o) for o in backtest.orders]),
        *_differences("fill", [_fill(f) for f in live.fills], [_fill(f) for f in backtest.fills]),
        *_differences("NAV", [_nav(p) for p in live.nav_points], [_nav(p) for p in backtest.nav_points]),
    ]
    return Parity(len(live.orders), len(live.fills), len(live.nav_points), tuple(differences))


def _differences(what: str, live: Sequence[Any], backtest: Sequence[Any]) -> list[str]:
    pairs = enumerate(zip_longest(live, backtest))
    return [f"{what} {n}: live {ours}, backtest {theirs}" for n, (ours, theirs) in pairs if ours != theirs]


def _order(order: Order) -> tuple[Any, ...]:
    return order.decided_at, order.symbol, order.side.value, order.quantity, order.reference_price, order.id


def _fill(fill: Fill) -> tuple[Any, ...]:
    return fill.filled_at, fill.order_id, fill.symbol, fill.side.value, fill.quantity, fill.price, fill.commission_usd


def _nav(point: NavPoint) -> tuple[Any, ...]:
    return point.at, point.nav_usd, point.cash_usd
