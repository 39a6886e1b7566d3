"""How a gateway is put together."""

from typing import Any

from alphamill import bootstrap
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

    from alphamill.adapters.clock.bars import BarClock
    from alphamill.adapters.clock.system import SYSTEM_CLOCK

    metrics, books = Metrics(CollectorRegistry()), bootstrap.ledger(settings)
    journal, board = bootstrap.journal(settings), bootstrap.status_board(settings)
    bars = BarClock()
    for record in books.records():
        if record.last_settled_at is not None:
            bars.tell(record.last_settled_at)
    clock: Clock = bars if settings.clock == "bars" else SYSTEM_CLOCK
    door = Door(check=door_checks(SYSTEM_CLOCK), journal=journal, store=bootstrap.bar_store(settings), clock=clock)
    merging = Merging(
        door,
        bootstrap.event_bus(settings, "gateway"),
        metrics,
        rosters=Awaited(books, bootstrap.portfolios(settings)),
        on_merged=bars.tell,
    )
    asks = bootstrap.forecaster(settings)
    return Parts(
        settings=settings,
        door=door,
        merging=merging,
        ledger=books,
        view=books,
        history=books,
        board=board,
        forecaster=asks,
        registry=bootstrap.model_registry(settings),
        model_server=bootstrap.model_server(settings),
        clock=clock,
        wall=SYSTEM_CLOCK,
        metrics=metrics,
        closers=(journal.close, board.close, books.close, asks.close),
    )


class Awaited:
    """Whose bars are awaited: every portfolio's in the ledger, and the configured ones' before they are in it."""

    def __init__(self, view: LedgerView, configured: list[PortfolioSpec]) -> None:
        self._view, self._configured = view, configured

    def __call__(self) -> list[Roster]:
        known: dict[str, tuple[PortfolioSpec, Any]] = {spec.name: (spec, ()) for spec in self._configured}
        known |= {record.name: (record.spec, record.positions) for record in self._view.records()}
        return bootstrap.rosters(known.values())
