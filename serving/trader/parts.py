"""How a trader is put together: once a process what it listens to, once a grant of the lease what it trades with."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from alphamill import bootstrap
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError
from alphamill.features.history import BarHistory
from alphamill.monitoring import Metrics
from alphamill.ports import BarListener, Books, Clock, Forecaster, Grant, ModelServer, Notifier
from alphamill.settings import Settings
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.newest import NewestFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader
from serving.trader.loop import TradingLoop


def trading_loop(settings: Settings) -> tuple[TradingLoop, Metrics]:
    """The loop of this process, and what it counts."""
    from prometheus_client import CollectorRegistry

    from alphamill.adapters.clock.system import SYSTEM_CLOCK

    metrics, holder = Metrics(CollectorRegistry()), f"{socket.gethostname()}-{os.getpid()}"
    server = bootstrap.model_server(settings)
    loop = TradingLoop(
        lambda grant: trading(settings, grant, metrics),
        lease=bootstrap.lease(settings),
        holder=holder,
        renew_secs=settings.lease_ttl_secs / 3,
        bus=bootstrap.event_bus(settings, holder),
        board=bootstrap.status_board(settings),
        clock=SYSTEM_CLOCK,
        metrics=metrics,
        missing=lambda: _missing(settings, server),
    )
    return loop, metrics


def _missing(settings: Settings, server: ModelServer) -> list[str]:
    """Whether the forecaster is there; a decision without it would hold every position."""
    try:
        found = server.deployment(settings.model_name)
    except AlphamillError as error:
        return [str(error)]
    return [] if found.status == "deployed" else [f"{found.model_id} at {found.url} is {found.status}"]


@dataclass(frozen=True, slots=True)
class Trading:
    """A started trader, and what it holds open."""

    trader: Trader
    closers: tuple[Callable[[], None], ...]

    def close(self) -> None:
        """Let messages under way go out, then release connections."""
        for close in self.closers:
            close()


def trading(settings: Settings, grant: Grant, metrics: Metrics) -> Trading:
    """Open the books and the brokers under a grant, and recover."""
    from alphamill.adapters.clock.bars import BarClock
    from alphamill.adapters.clock.system import SYSTEM_CLOCK

    bars = BarClock()
    clock: Clock = bars if settings.clock == "bars" else SYSTEM_CLOCK
    books, asks = bootstrap.ledger(settings), bootstrap.forecaster(settings)
    tells = bootstrap.notifier(settings, metrics.notification_failures.inc)
    made = _Desks(settings, books, asks, tells, metrics, lambda: grant.token)
    specs = bootstrap.portfolios(settings)
    calendars = dict.fromkeys(spec.universe.calendar for spec in specs)
    trader = Trader(
        store=bootstrap.bar_store(settings),
        desks=[made.desk(c, [s for s in specs if s.universe.calendar == c], bars, clock) for c in calendars],
        ledger=books,
        clock=clock,
        tell=lambda alert: tells.notify(alert.title, alert.body),
    )
    trader.start()
    return Trading(trader, (tells.close, books.close, asks.close))


@dataclass(frozen=True, slots=True)
class _Desks:
    """What all desks of one trader share."""

    settings: Settings
    books: Books
    asks: Forecaster
    tells: Notifier
    metrics: Metrics
    token: Callable[[], int]

    def desk(self, calendar: str, specs: list[PortfolioSpec], bars: BarListener, clock: Clock) -> Desk:
        """The portfolios of one calendar, each with its broker."""
        history = BarHistory()
        features = NewestFeatures(bootstrap.feature_store(self.settings))
        brokers = [bootstrap.paper_broker(self.settings, spec) for spec in specs]
        traders = [
            PortfolioTrader(
                spec,
                features=features,
                forecaster=self.asks,
                broker=broker,
                ledger=self.books,
                history=history,
                notifier=self.tells,
                token=self.token,
                on_orders=self.metrics.on_orders,
            )
            for spec, broker in zip(specs, brokers, strict=True)
        ]
        return Desk(
            calendar=calendar,
            history=history,
            features=features,
            listeners=[bars, *brokers],
            traders=traders,
            lateness=lateness(clock),
        )
