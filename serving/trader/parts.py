"""How a trader is put together: once a process what it listens to, once a grant of the lease what it trades with."""

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from alphamill.bootstrap import bar_clock, wiring
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError
from alphamill.features.history import BarHistory
from alphamill.monitoring import Metrics
from alphamill.ports import Clock, Grant, ModelServer
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

    wired, metrics = wiring(settings), Metrics(CollectorRegistry())
    # Host and pid are for reading; in containers they are often the same.
    holder, server = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}", wired.model_server()
    loop = TradingLoop(
        lambda grant: trading(settings, grant, metrics),
        lease=wired.lease(),
        holder=holder,
        ttl_secs=settings.lease_ttl_secs,
        bus=wired.events(holder),
        board=wired.status_board(),
        clock=wired.clock(),
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
    close: Callable[[], None]


def trading(settings: Settings, grant: Grant, metrics: Metrics) -> Trading:
    """Open the books and the brokers under a grant, and recover."""
    wired, told = wiring(settings), bar_clock()
    clock: Clock = told if settings.clock == "bars" else wired.clock()
    lease, too_late = wired.lease(), lateness(clock)
    books, asks = wired.ledger(), wired.forecaster(settings.model_name)
    # Built last of what is closed: its messages go out before connections are released.
    tells = wired.notifier(metrics.notification_failures.inc)

    def holds() -> bool:
        now = lease.current()
        return now is not None and now.token == grant.token

    def desk(calendar: str, specs: list[PortfolioSpec]) -> Desk:
        history, features = BarHistory(), NewestFeatures(wired.online_features())
        brokers = [wired.broker(spec) for spec in specs]
        traders = [
            PortfolioTrader(
                spec,
                features=features,
                forecaster=asks,
                broker=broker,
                ledger=books,
                history=history,
                notifier=tells,
                token=lambda: grant.token,
                holds=holds,
                late=partial(too_late, calendar),
                on_orders=metrics.on_orders,
            )
            for spec, broker in zip(specs, brokers, strict=True)
        ]
        return Desk(
            calendar=calendar,
            history=history,
            features=features,
            listeners=[told, *brokers],
            traders=traders,
            lateness=too_late,
        )

    specs = wired.portfolios()
    calendars = dict.fromkeys(spec.universe.calendar for spec in specs)
    trader = Trader(
        store=wired.bars(),
        desks=[desk(c, [spec for spec in specs if spec.universe.calendar == c]) for c in calendars],
        ledger=books,
        clock=clock,
        tell=lambda alert: tells.notify(alert.title, alert.body),
    )
    try:
        trader.start()
    except BaseException:
        wired.close()
        raise
    return Trading(trader, wired.close)
