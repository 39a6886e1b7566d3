"""Orders, fills and positions. Quantities and money are Decimal; sides carry the sign."""

import datetime as dt
import hashlib
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from alphamill.domain.money import round_cash

#: How the id of a fill begins that takes another one back: the venue said that the trade does not count.
REVERSAL: Final = "bust_"


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderStatus(StrEnum):
    """PENDING is committed but not sent; IN_FLIGHT is sent without a clear answer yet."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


def order_id(portfolio: str, decided_at: dt.datetime, symbol: str, side: Side, quantity: Decimal) -> str:
    """The id of an order is its content: the same decision can never be sent twice under two ids."""
    content = "|".join(
        (portfolio, decided_at.astimezone(dt.UTC).isoformat(), symbol, side.value, f"{quantity.normalize():f}")
    )
    return f"ord_{hashlib.sha256(content.encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True)
class Order:
    """A market order for the next open. `quantity` is positive; `side` says which way."""

    id: str
    portfolio: str
    decided_at: dt.datetime
    symbol: str
    side: Side
    quantity: Decimal
    reference_price: Decimal
    reason: str
    status: OrderStatus = OrderStatus.PENDING
    filled_quantity: Decimal = Decimal(0)
    detail: str = ""

    def with_status(self, status: OrderStatus, detail: str = "") -> "Order":
        return self.after(status=status, detail=detail or self.detail)

    def after(
        self,
        *,
        status: OrderStatus | None = None,
        quantity: Decimal | None = None,
        filled_quantity: Decimal | None = None,
        detail: str | None = None,
    ) -> "Order":
        """The order as it stands later: nothing else of it changes. Twice as fast as `dataclasses.replace`."""
        return Order(
            self.id,
            self.portfolio,
            self.decided_at,
            self.symbol,
            self.side,
            self.quantity if quantity is None else quantity,
            self.reference_price,
            self.reason,
            self.status if status is None else status,
            self.filled_quantity if filled_quantity is None else filled_quantity,
            self.detail if detail is None else detail,
        )

    @property
    def notional_usd(self) -> Decimal:
        return self.quantity * self.reference_price

    def closable(self, held: Decimal) -> Decimal:
        """Shares an order of this side can take from a holding of `held` before it opens the other side."""
        return abs(held) if held * self.side.sign < 0 else Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution. `price` is per share after slippage, raw; `commission_usd` is >= 0, except in a `reversal`."""

    id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission_usd: Decimal
    filled_at: dt.datetime

    @property
    def cash_usd(self) -> Decimal:
        """Change of cash, in the step of money: negative for a buy. A fraction of a share may be worth less than it."""
        return round_cash(-self.side.sign * self.quantity * self.price - self.commission_usd)

    @property
    def is_reversal(self) -> bool:
        """Whether it takes an earlier fill back; see `reversal`."""
        return self.id.startswith(REVERSAL)

    def reversal(self) -> "Fill":
        """The entry that takes this fill back to the last digit: other side, same price, commission returned."""
        other = Side.SELL if self.side is Side.BUY else Side.BUY
        return replace(self, id=f"{REVERSAL}{self.id}", side=other, commission_usd=-self.commission_usd)


@dataclass(frozen=True, slots=True)
class Position:
    """Signed quantity and its average entry price (raw, before commission).

    `extreme_price` is the most favourable raw close since the position was opened (or flipped): the highest of a long,
    the lowest of a short one. None until the first settled close, and at brokers, which need not know it.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal
    extreme_price: Decimal | None = None

    @property
    def best_price(self) -> Decimal:
        """`extreme_price`, or the average price where no close was settled yet."""
        return self.average_price if self.extreme_price is None else self.extreme_price

    def marked(self, close: Decimal) -> "Position":
        """The position after a settled close."""
        best = max(self.best_price, close) if self.quantity > 0 else min(self.best_price, close)
        if best == self.extreme_price:
            return self
        return Position(self.symbol, self.quantity, self.average_price, best)
