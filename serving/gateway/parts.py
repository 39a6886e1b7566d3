"""How a gateway is put together."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from alphamill.bootstrap import bar_clock, rosters, wiring
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.door import Door, Roster, door_checks
from alphamill.monitoring import Metrics
from alphamill.ports import Clock, LedgerView
from alphamill.settings import Settings
from serving.gateway.deps import Parts
from serving.gateway.merging import Merging


def gateway_parts(settings: Settings) -> Parts:
    """Wire the gateway: journal, bars table and ledger as they are configured, the deployed forecaster."""
    from prometheus_client import CollectorRegistry

    wired, metrics = wiring(settings), Metrics(CollectorRegistry())
    books, wall, told = wired.ledger(), wired.clock(), bar_clock()
    clock: Clock = told if settings.clock == "bars" else wall
    door = Door(check=door_checks(wall), journal=wired.journal(), store=wired.bars(), clock=clock)
    merging = Merging(
        door,
        wired.events("gateway"),
        metrics,
        rosters=Awaited(books, wired.portfolios(), told.tell),
        on_merged=told.tell,
    )
    return Parts(
        settings=settings,
        door=door,
        merging=merging,
        ledger=books,
        view=books,
        history=books,
        board=wired.status_board(),
        forecaster=wired.forecaster(settings.model_name),
        registry=wired.registry(),
        model_server=wired.model_server(),
        clock=clock,
        wall=wall,
        metrics=metrics,
        closers=(wired.close,),
    )


class Awaited:
    """Whose bars are awaited: every portfolio's in the ledger, and the configured ones' before they are in it.

    `tell` hears what was settled: the clock of a replay, whose bars another gateway may have merged.
    """

    def __init__(self, view: LedgerView, configured: list[PortfolioSpec], tell: Callable[[dt.datetime], None]) -> None:
        self._view, self._configured, self._tell = view, configured, tell

    def __call__(self) -> list[Roster]:
        known: dict[str, tuple[PortfolioSpec, Any]] = {spec.name: (spec, ()) for spec in self._configured}
        for record in self._view.records():
            known[record.name] = (record.spec, record.positions)
            if record.last_settled_at is not None:
                self._tell(record.last_settled_at)
        return rosters(known.values())
