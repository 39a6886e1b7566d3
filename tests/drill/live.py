"""Door and trader, driven by hand: what the ticks of their two processes do, in the order that a test wants."""

import datetime as dt
from collections.abc import Mapping

import polars as pl

from alphamill.bootstrap import rosters
from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.events import BarsAppended
from alphamill.domain.ledger import PortfolioRecord
from alphamill.door import Door
from alphamill.ports import Clock, Ledger
from alphamill.trading.desk import Desk
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader


class Live:
    """One door and one trader on the same journal, table and ledger."""

    def __init__(self, door: Door, trader: Trader, ledger: Ledger, clock: Clock) -> None:
        self.door, self.trader, self._ledger, self.clock = door, trader, ledger, clock

    def start(self) -> None:
        self.trader.start()
        self.door.expect(rosters((trader.spec, trader.symbols) for trader in self.trader.portfolios()))

    def accept(self, raw: pl.DataFrame) -> pl.DataFrame:
        return self.door.accept(raw)

    def close_sessions(self) -> list[BarsAppended]:
        events = self.door.merge()
        self.trader.look()
        return events

    def process(self) -> list[Decision]:
        return self.trader.advance()

    def enforce_states(self) -> None:
        self.trader.enforce_states()

    def update_target(self, portfolio: str | None, weights: Mapping[str, float]) -> Decision:
        follower, trader = self.trader._find(portfolio)
        late = follower.desk.late(trader, follower.cursor)
        return trader.update_target(weights, follower.market(trader), late=late)

    def set_state(self, portfolio: str, state: TradingState, reason: str) -> None:
        self._ledger.set_state(portfolio, state, reason, dt.datetime.now(dt.UTC))

    def controller(self, portfolio: str | None) -> PortfolioTrader:
        return self.trader.portfolio(portfolio)

    def disagreements(self) -> list[str]:
        """Why ledger and broker disagree, each with its portfolio; asked again where they did."""
        found = [trader for trader in self.trader.portfolios() if trader.agreement.differences]
        for trader in found:
            trader.compare()
        return [f"{t.spec.name}: {difference}" for t in found for difference in t.agreement.differences]

    def records(self) -> list[PortfolioRecord]:
        return self.trader.records()

    @property
    def desk(self) -> Desk:
        """The first one."""
        return self.trader._followers[0].desk

    @property
    def behind_secs(self) -> float:
        return self.trader.behind_secs

    @property
    def cursor(self) -> dt.datetime:
        return self.trader.cursor
