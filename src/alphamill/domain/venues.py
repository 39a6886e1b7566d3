"""What a venue says of itself and of an account held there."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from alphamill.domain.orders import Fill, Order, Position

MARKET: Final = "market"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a venue can do and what it allows.

    Parameters
    ----------
    kind
        "live" moves real money: only a model approved for live may trade there.
    order_types
        Names of the types it takes; Alphamill sends "market".
    fractional, share_step
        Whether it trades parts of a share, and the smallest quantity it trades.
    short
        Whether more may be sold than is held.
    extended_hours
        Whether orders may trade outside the regular session.
    max_orders_per_sec
        None: it sets no limit.
    max_in_flight
        How many orders may wait for its answer at once. 1: each is answered before the next one is sent.
    """

    kind: Literal["paper", "live"]
    order_types: frozenset[str] = frozenset({MARKET})
    fractional: bool = False
    short: bool = True
    share_step: Decimal = Decimal(1)
    extended_hours: bool = False
    max_orders_per_sec: float | None = None
    max_in_flight: int = 1


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """Cash, positions and buying power as the venue sees them.

    `positions` are by symbol, flat ones absent. `buying_power_usd` is None where the venue names no limit.
    """

    cash_usd: Decimal
    buying_power_usd: Decimal | None
    positions: Mapping[str, Position]


@dataclass(frozen=True, slots=True)
class Events:
    """What happened at a venue after a cursor: at least once, in no order.

    Parameters
    ----------
    fills
        Executions, those that were taken back later included.
    orders
        Orders whose state changed, each as it stands now.
    busts
        Ids of fills that were taken back.
    cursor
        Where the next question starts; None while nothing ever happened.
    """

    fills: tuple[Fill, ...]
    orders: tuple[Order, ...]
    busts: tuple[str, ...]
    cursor: str | None
