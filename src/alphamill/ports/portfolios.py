"""Where portfolio specs come from."""

from typing import Protocol

from alphamill.domain.portfolios import PortfolioSpec


class PortfolioSource(Protocol):
    """Where portfolio specs come from."""

    def portfolios(self) -> list[PortfolioSpec]: ...
