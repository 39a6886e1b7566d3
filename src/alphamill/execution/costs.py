"""Commission and slippage: small models, chosen by the broker reference or given by the user."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from alphamill.domain.orders import Side
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import InvalidConfig
from alphamill.execution.money import CASH_STEP_USD, round_cash, to_decimal

_BPS = Decimal(10_000)


class CommissionModel(Protocol):
    """What a fill costs, >= 0."""

    def commission_usd(self, quantity: Decimal, price: Decimal) -> Decimal: ...


class SlippageModel(Protocol):
    """The price a market order gets, always against the trader."""

    def fill_price(self, side: Side, open_price: Decimal) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class PercentCommission:
    """`bps` of the notional."""

    bps: float

    def commission_usd(self, quantity: Decimal, price: Decimal) -> Decimal:
        return round_cash(quantity * price * to_decimal(self.bps) / _BPS)


@dataclass(frozen=True, slots=True)
class PerShareCommission:
    """`usd` a share, at least `minimum_usd` a fill."""

    usd: Decimal
    minimum_usd: Decimal = Decimal(0)

    def commission_usd(self, quantity: Decimal, price: Decimal) -> Decimal:
        return round_cash(max(quantity * self.usd, self.minimum_usd))


@dataclass(frozen=True, slots=True)
class PercentSlippage:
    """`bps` of the open: a buy pays more, a sell gets less."""

    bps: float

    def __post_init__(self) -> None:
        if not 0 <= self.bps < 10_000:
            raise InvalidConfig(
                f"slippage of {self.bps} bps.", field="slippage_bps", remedy="Give 0 or more, under 10000."
            )

    def fill_price(self, side: Side, open_price: Decimal) -> Decimal:
        return round_cash(open_price * (1 + side.sign * to_decimal(self.bps) / _BPS))


@dataclass(frozen=True, slots=True)
class FixedSlippage:
    """`usd` a share; a sell never gets less than the smallest price step."""

    usd: Decimal

    def fill_price(self, side: Side, open_price: Decimal) -> Decimal:
        return max(round_cash(open_price + side.sign * self.usd), CASH_STEP_USD)


def costs_of(broker: BrokerRef) -> tuple[CommissionModel, SlippageModel]:
    """The models a portfolio's broker reference asks for."""
    return PercentCommission(broker.commission_bps), PercentSlippage(broker.slippage_bps)
