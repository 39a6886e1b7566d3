"""What the routes need, wired once per process and handed to them by FastAPI."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from alphamill.domain.portfolios import PortfolioSpec, the_only_one
from alphamill.door import Door
from alphamill.monitoring import Metrics
from alphamill.ports import (
    Clock,
    Forecaster,
    Ledger,
    LedgerHistory,
    LedgerView,
    ModelRegistry,
    ModelServer,
    StatusBoard,
)
from alphamill.settings import Settings
from serving.gateway.merging import Merging


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything one gateway process holds. None of it is the state of a portfolio: that stands in the ledger.

    `clock` is the time of trading, `wall` that of the world: the two differ in a replay.
    """

    settings: Settings
    door: Door
    merging: Merging
    ledger: Ledger
    view: LedgerView
    history: LedgerHistory
    board: StatusBoard
    forecaster: Forecaster
    registry: ModelRegistry
    model_server: ModelServer
    clock: Clock
    wall: Clock
    metrics: Metrics
    closers: tuple[Callable[[], None], ...] = ()

    def name(self, portfolio: str | None) -> str:
        """`portfolio`, or the name of the only one.

        Raises
        ------
        InvalidInput
            Several are traded and none was named; lists them.
        NotFound
            None is traded.
        """
        return portfolio or the_only_one([record.name for record in self.view.records()])

    def spec(self, portfolio: str) -> PortfolioSpec:
        """The spec that the ledger has; `NotFound` names the known ones."""
        return self.view.record(portfolio).spec

    def close(self) -> None:
        """Release connections."""
        for close in self.closers:
            close()


def parts_of(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


WithParts = Annotated[Parts, Depends(parts_of)]
