"""What every rule may look at, and nothing else."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import Order, Position
from alphamill.domain.portfolios import PortfolioSpec


@dataclass(frozen=True, slots=True)
class RiskContext:
    """A portfolio at the moment of a decision. Prices are raw closes; volumes are shares of that bar."""

    spec: PortfolioSpec
    state: TradingState
    nav_usd: Decimal
    peak_nav_usd: Decimal
    cash_usd: Decimal
    positions: Mapping[str, Position]
    prices: Mapping[str, Decimal]
    volumes: Mapping[str, Decimal]
    decided_at: dt.datetime
    state_reason: str = ""
    state_since: dt.datetime | None = None

    @property
    def drawdown_pct(self) -> float:
        """Loss from the peak NAV in percent; 0 at the peak, 100 when nothing is left."""
        if self.peak_nav_usd <= 0:
            return 0.0
        return float(100 * (1 - self.nav_usd / self.peak_nav_usd))

    def quantity(self, symbol: str) -> Decimal:
        """Signed shares held; zero when flat."""
        position = self.positions.get(symbol)
        return position.quantity if position else Decimal(0)

    def current_weight(self, symbol: str) -> float:
        """Value of the position over NAV, as a fraction; 0.0 when flat, unpriced or without NAV."""
        position = self.positions.get(symbol)
        price = self.prices.get(symbol) if position else None
        if position is None or price is None or self.nav_usd <= 0:
            return 0.0
        return float(position.quantity * price / self.nav_usd)

    def raises_exposure(self, order: Order) -> bool:
        """Whether filling the order leaves a larger position, on either side, than before."""
        held = self.quantity(order.symbol)
        return abs(held + order.side.sign * order.quantity) > abs(held)
