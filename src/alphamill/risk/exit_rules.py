"""Rules that close a position by its own price: stop-loss, take-profit, trailing stop.

All of them judge the raw close and send an order for the next open, for long and for short positions. There is no
order at the stop level: a gap through a stop fills at the open, however far beyond the level that is.

They run last, at every closed bar, also where the schedule skips the decision. Nothing enters again at the decision
that closes a position; the next scheduled one may, if the model still wants it. A position that an order rule or the
market let go only in part is judged anew at the next close.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from alphamill.domain.orders import Position
from alphamill.risk.rule import ExitRule


@dataclass(frozen=True, slots=True)
class StopLoss(ExitRule):
    """Closes at ``limit_pct`` or more against the average price.

    Long: ``close <= average * (1 - limit)``; short: ``close >= average * (1 + limit)``. A split moves the average; a
    dividend does not, since it was paid out.
    """

    limit_pct: float
    name: ClassVar[str] = "stop_loss"
    code: ClassVar[str] = "STOP_LOSS"

    def why(self, position: Position, price: Decimal) -> str | None:
        loss_pct = -gain_pct(position, position.average_price, price)
        if loss_pct < self.limit_pct:
            return None
        return f"{price:f} is {loss_pct:.2f} % worse than the average {position.average_price:f} {_limit(self)}"


@dataclass(frozen=True, slots=True)
class TakeProfit(ExitRule):
    """Closes at ``limit_pct`` or more in favour of the position, from the average price.

    Long: ``close >= average * (1 + limit)``; short: ``close <= average * (1 - limit)``.
    """

    limit_pct: float
    name: ClassVar[str] = "take_profit"
    code: ClassVar[str] = "TAKE_PROFIT"

    def why(self, position: Position, price: Decimal) -> str | None:
        won_pct = gain_pct(position, position.average_price, price)
        if won_pct < self.limit_pct:
            return None
        return f"{price:f} is {won_pct:.2f} % better than the average {position.average_price:f} {_limit(self)}"


@dataclass(frozen=True, slots=True)
class TrailingStop(ExitRule):
    """Closes at ``limit_pct`` or more against the most favourable close since the position was opened.

    Long: ``close <= best * (1 - limit)`` with the highest close as ``best``; short: ``close >= best * (1 + limit)``
    with the lowest. ``best`` is `Position.best_price`: never worse than the average price at the open of the
    position, and moved by splits and dividends so that neither trips the stop.
    """

    limit_pct: float
    name: ClassVar[str] = "trailing_stop"
    code: ClassVar[str] = "TRAILING_STOP"

    def why(self, position: Position, price: Decimal) -> str | None:
        lost_pct = -gain_pct(position, position.best_price, price)
        if lost_pct < self.limit_pct:
            return None
        return f"{price:f} is {lost_pct:.2f} % worse than the best close {position.best_price:f} {_limit(self)}"


def gain_pct(position: Position, reference: Decimal, price: Decimal) -> float:
    """Percent that `price` is better than `reference` for the position; negative when it is worse."""
    side = 1 if position.quantity > 0 else -1
    return float(side * (price / reference - 1) * 100)


def _limit(rule: StopLoss | TakeProfit | TrailingStop) -> str:
    return f"(limit {rule.limit_pct:g} %)"
