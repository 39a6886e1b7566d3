"""A status board in memory."""

from alphamill.domain.status import TradingStatus


class InMemoryStatusBoard:
    """`StatusBoard` that ends with the process."""

    def __init__(self) -> None:
        self._said: dict[str, TradingStatus] = {}

    def post(self, status: TradingStatus) -> None:
        self._said[status.portfolio] = status

    def read(self, portfolio: str) -> TradingStatus | None:
        return self._said.get(portfolio)
