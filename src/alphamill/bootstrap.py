"""Composition root: settings in, wired objects out. A runtime builds the parts; here they are put together.

Adapters are imported inside the functions: asking for the ledger must not load torch.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from alphamill.domain.calendars import last_close, session_open
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import NotSupported
from alphamill.ports import Clock, EventBus, Forecaster, Ledger, ModelRegistry, ModelServer, OnlineFeatures, Wiring
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.files.progress import ProgressTail
    from alphamill.domain.forecasts import ModelSignature
    from alphamill.door import Door, Roster
    from alphamill.evaluation.backtest import BacktestParts
    from alphamill.monitoring import Metrics
    from alphamill.runtimes.embedded.runtime import Runtime
    from alphamill.trading.portfolio_trader import PortfolioTrader
    from alphamill.trading.trader import Trader

#: Merged bars are in the bars table; the journal keeps those of a month, to see what came in and when.
JOURNAL_SESSIONS = 21


def wiring(settings: Settings) -> Wiring:
    """The parts of the runtime that `settings` name; none is built, and nothing reached, before it is asked for.

    Raises
    ------
    InvalidConfig
        The cluster runtime lacks an address; names the variables.
    """
    if settings.runtime == "cluster":
        from alphamill.runtimes.cluster.wiring import ClusterWiring

        return ClusterWiring(settings)
    from alphamill.runtimes.embedded.wiring import EmbeddedWiring

    return EmbeddedWiring(settings)


def supervisor(settings: Settings, *, fresh: bool = False) -> "Runtime":
    """Who owns this home, its Redis and the child processes of a command, for the length of a block.

    Raises
    ------
    NotSupported
        In a cluster Kubernetes does that.
    """
    if settings.runtime != "embedded":
        raise NotSupported(
            f"the {settings.runtime} runtime starts no processes from the command line.",
            field="ALPHAMILL_RUNTIME",
            remedy="Set ALPHAMILL_RUNTIME=embedded for this command, or use what runs in the cluster.",
        )
    from alphamill.runtimes.embedded.runtime import Runtime

    return Runtime(settings, fresh=fresh)


def model_features(settings: Settings) -> tuple[str, ...]:
    """What the model sees, in order; `InvalidFeatures` for a name that nobody registered."""
    from alphamill.features import MODEL_FEATURES, resolve

    return tuple(feature.name for feature in resolve(settings.model_features or MODEL_FEATURES))


def system_clock() -> Clock:
    """The wall clock, of any runtime."""
    from alphamill.adapters.clock.system import SYSTEM_CLOCK

    return SYSTEM_CLOCK


def folder_forecaster(model_dir: Path) -> Forecaster:
    """The model of a folder (model.onnx, card.json), asked in this process."""
    from alphamill.adapters.onnx.forecaster import OnnxForecaster

    return OnnxForecaster(model_dir)


def panel_forecaster(panel: pl.DataFrame, signature: "ModelSignature") -> Forecaster:
    """Forecasts made before (symbol, ts, mean, std), looked up."""
    from alphamill.adapters.memory.forecast_table import ForecastTable

    return ForecastTable(panel, signature)


def progress_tail(path: Path) -> "ProgressTail":
    """What steps append to the file of progress, read as it grows."""
    from alphamill.adapters.files.progress import ProgressTail

    return ProgressTail(path)


@dataclass(frozen=True, slots=True)
class ControllerParts:
    """What one controller process is made of."""

    door: "Door"
    trader: "Trader"
    bus: EventBus
    ledger: Ledger
    features: OnlineFeatures
    forecaster: Forecaster
    registry: ModelRegistry
    model_server: ModelServer
    metrics: "Metrics"
    closers: tuple[Callable[[], None], ...] = ()

    def close(self) -> None:
        """Let messages under way go out, then release connections."""
        for close in self.closers:
            close()


def controller_parts(parts: Wiring) -> ControllerParts:
    """Wire the live path: real stores, the deployed forecaster, the broker of the portfolio file."""
    from prometheus_client import CollectorRegistry

    from alphamill.adapters.clock.bars import BarClock
    from alphamill.door import Door, door_checks
    from alphamill.features.history import BarHistory
    from alphamill.monitoring import Metrics
    from alphamill.trading.desk import Desk
    from alphamill.trading.lateness import lateness
    from alphamill.trading.newest import NewestFeatures
    from alphamill.trading.portfolio_trader import PortfolioTrader
    from alphamill.trading.trader import Trader

    settings, specs = parts.settings, parts.portfolios()
    bar_clock = BarClock()
    clock = bar_clock if settings.clock == "bars" else parts.clock()
    metrics = Metrics(CollectorRegistry())
    books, asks, journal = parts.ledger(), parts.forecaster(settings.model_name), parts.journal()
    journal.prune(JOURNAL_SESSIONS)
    # Built last of what is closed: its messages go out before connections are released.
    tells = parts.notifier(metrics.notification_failures.inc)
    store, online = parts.bars(), parts.online_features()
    desks = []
    for calendar in dict.fromkeys(spec.universe.calendar for spec in specs):
        own = [spec for spec in specs if spec.universe.calendar == calendar]
        brokers = [parts.broker(spec) for spec in own]
        history, features = BarHistory(), NewestFeatures(online)
        traders = [
            PortfolioTrader(
                spec,
                features=features,
                forecaster=asks,
                broker=broker,
                ledger=books,
                history=history,
                notifier=tells,
                on_orders=metrics.on_orders,
            )
            for spec, broker in zip(own, brokers, strict=True)
        ]
        desks.append(
            Desk(
                calendar=calendar,
                history=history,
                features=features,
                listeners=[bar_clock, *brokers],
                traders=traders,
                lateness=lateness(clock),
            )
        )
    trader = Trader(store=store, desks=desks, ledger=books, tell=lambda alert: tells.notify(alert.title, alert.body))
    return ControllerParts(
        door=Door(check=door_checks(parts.clock()), journal=journal, store=store, clock=clock),
        trader=trader,
        bus=parts.events(),
        ledger=books,
        features=online,
        forecaster=asks,
        registry=parts.registry(),
        model_server=parts.model_server(),
        metrics=metrics,
        closers=(parts.close,),
    )


def rosters(traders: Sequence["PortfolioTrader"]) -> list["Roster"]:
    """Whose bars a door awaits: by calendar the universes of portfolios, and what they still hold of earlier ones."""
    from alphamill.door import Roster

    found = []
    for calendar in dict.fromkeys(trader.spec.universe.calendar for trader in traders):
        own = [trader for trader in traders if trader.spec.universe.calendar == calendar]
        gone = {s: last_close(calendar, d.last_session) for t in own for s, d in t.spec.universe.delistings.items()}
        symbols = frozenset(symbol for trader in own for symbol in trader.symbols)
        grace = dt.timedelta(seconds=max(trader.spec.schedule.grace_secs for trader in own))
        found.append(Roster(calendar, symbols, grace, gone))
    return found


def backtest_parts(spec: PortfolioSpec, feature_rows: pl.DataFrame, asks: Forecaster) -> "BacktestParts":
    """Wire a backtest: precomputed features, in-memory books, time told by bars."""
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.clock.bars import BarClock
    from alphamill.adapters.memory.feature_table import FeatureTable
    from alphamill.adapters.memory.ledger import InMemoryLedger
    from alphamill.adapters.notify.silent import SilentNotifier
    from alphamill.evaluation.backtest import BacktestParts

    clock, books = BarClock(), InMemoryLedger()
    opens = partial(session_open, spec.universe.calendar)
    cash, delistings = {spec.name: spec.initial_cash_usd}, spec.universe.delistings
    broker = PaperBroker(spec.broker, initial_cash=cash, session_open=opens, delistings=delistings)
    return BacktestParts(
        features=FeatureTable(feature_rows, clock),
        forecaster=asks,
        broker=broker,
        ledger=books,
        nav_points=books.nav_points,
        clock=clock,
        notifier=SilentNotifier(),
        listeners=(clock, broker),
    )
