"""What a fill costs: commission and slippage, each a part of the notional plus so much a share.

The paper broker charges them and the buying-power rule counts them with the same lines, so what the rule lets pass at
a price is what the account can pay for at that price.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from alphamill.domain.money import CASH_STEP_USD, round_cash, to_decimal
from alphamill.domain.orders import Side
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import InvalidConfig

_BPS = Decimal(10_000)
_NOTHING = Decimal(0)


class CommissionModel(Protocol):
    """What a fill costs, >= 0."""

    def commission_usd(self, quantity: Decimal, price: Decimal) -> Decimal: ...


class SlippageModel(Protocol):
    """The price a market order gets, always against the trader."""

    def fill_price(self, side: Side, open_price: Decimal) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Commission:
    """``max(bps * notional + usd_per_share * quantity, minimum_usd)``, per fill.

    The notional is quantity times the fill's price, slippage included. An order that fills in parts pays the minimum
    for each part.
    """

    bps: float = 0.0
    usd_per_share: Decimal = _NOTHING
    minimum_usd: Decimal = _NOTHING

    def __post_init__(self) -> None:
        _require(0 <= self.bps < 10_000, "commission_bps", f"commission of {self.bps} bps", "0 or more, under 10000")
        for field, usd in (("commission_usd_per_share", self.usd_per_share), ("commission_min_usd", self.minimum_usd)):
            _require(usd.is_finite() and usd >= 0, field, f"commission of {usd} USD", "0 or more")

    def commission_usd(self, quantity: Decimal, price: Decimal) -> Decimal:
        notional_part = quantity * price * to_decimal(self.bps) / _BPS
        return round_cash(max(notional_part + quantity * self.usd_per_share, self.minimum_usd))


@dataclass(frozen=True, slots=True)
class Slippage:
    """``open * bps + usd_per_share``, added for a buy, taken off for a sell; never under the smallest price step."""

    bps: float = 0.0
    usd_per_share: Decimal = _NOTHING

    def __post_init__(self) -> None:
        _require(0 <= self.bps < 10_000, "slippage_bps", f"slippage of {self.bps} bps", "0 or more, under 10000")
        usd = self.usd_per_share
        _require(usd.is_finite() and usd >= 0, "slippage_usd_per_share", f"slippage of {usd} USD", "0 or more")

    def fill_price(self, side: Side, open_price: Decimal) -> Decimal:
        against = open_price * to_decimal(self.bps) / _BPS + self.usd_per_share
        return max(round_cash(open_price + side.sign * against), CASH_STEP_USD)


def costs_of(broker: BrokerRef) -> tuple[Commission, Slippage]:
    """What a portfolio's broker reference asks for."""
    commission = Commission(broker.commission_bps, broker.commission_usd_per_share, broker.commission_min_usd)
    return commission, Slippage(broker.slippage_bps, broker.slippage_usd_per_share)


def _require(holds: bool, field: str, what: str, remedy: str) -> None:
    if not holds:
        raise InvalidConfig(f"{what}.", field=field, remedy=f"Give {remedy}.")
