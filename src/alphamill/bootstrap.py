"""Composition root: settings in, wired objects out. The only place that knows which adapter serves which port.

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
from alphamill.domain.portfolios import PortfolioSpec, load_portfolio
from alphamill.errors import InvalidConfig
from alphamill.ports import (
    BarStore,
    Clock,
    EventBus,
    FeatureStore,
    Forecaster,
    Ledger,
    MarketFeed,
    ModelRegistry,
    ModelServer,
)
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.kserve.v2 import V2Forecaster
    from alphamill.adapters.notify.apprise import AppriseNotifier
    from alphamill.adapters.sql.ledger import SqlLedger
    from alphamill.door import Door, Roster
    from alphamill.evaluation.backtest import BacktestParts
    from alphamill.monitoring import Metrics
    from alphamill.trading.portfolio_trader import PortfolioTrader
    from alphamill.trading.trader import Trader

#: Merged bars are in the bars table; the journal keeps those of a month, to see what came in and when.
JOURNAL_SESSIONS = 21


def market_feed(name: str) -> MarketFeed:
    """``sample`` is the bundled real sample; anything else is a folder of CSV or Parquet files."""
    from alphamill.adapters.feeds.files import FolderFeed
    from alphamill.adapters.feeds.sample import SampleFeed

    return SampleFeed() if name == "sample" else FolderFeed(Path(name))


def table_uri(settings: Settings, table: str) -> str:
    """Where a Delta table of the lake lies: landing, bars, quarantine, features, training."""
    return f"{settings.lake}/{table}"


def bar_store(settings: Settings, table: str = "bars") -> BarStore:
    """One Delta table below the lake: ``landing`` before validation, ``bars`` after it."""
    from alphamill.adapters.delta.bar_store import DeltaBarStore

    return DeltaBarStore(table_uri(settings, table))


def model_features(settings: Settings) -> tuple[str, ...]:
    """What the model sees, in order; `InvalidFeatures` for a name that nobody registered."""
    from alphamill.features import MODEL_FEATURES, resolve

    return tuple(feature.name for feature in resolve(settings.model_features or MODEL_FEATURES))


def feature_store(settings: Settings) -> FeatureStore:
    from alphamill.adapters.feast.store import FeastFeatureStore

    return FeastFeatureStore(
        settings.feature_repo, settings.home.resolve() / "features", settings.redis_url.get_secret_value()
    )


def model_registry(settings: Settings) -> ModelRegistry:
    from alphamill.adapters.mlflow.registry import MlflowRegistry

    return MlflowRegistry(settings.tracking_uri, mlflow_artifacts(settings))


def mlflow_artifacts(settings: Settings) -> str:
    """Folder or bucket of MLflow's artifacts."""
    return str(settings.home.resolve() / "mlflow")


def model_server(settings: Settings) -> ModelServer:
    from alphamill.adapters.clock.system import SYSTEM_CLOCK
    from alphamill.runtimes.embedded.model_server import LocalModelServer

    return LocalModelServer(model_registry(settings), settings.home.resolve(), SYSTEM_CLOCK)


def forecaster(settings: Settings) -> "V2Forecaster":
    """Asks whatever version is deployed under the model's name at that moment."""
    from alphamill.adapters.kserve.v2 import V2Forecaster
    from alphamill.runtimes.embedded.deployments import deployed_url

    endpoint = partial(deployed_url, settings.home.resolve(), settings.model_name)
    return V2Forecaster(endpoint, settings.model_name, settings.forecast_timeout_secs)


def ledger(settings: Settings) -> "SqlLedger":
    from alphamill.adapters.sql.ledger import SqlLedger

    return SqlLedger(settings.ledger_url)


def event_bus(settings: Settings) -> EventBus:
    from alphamill.adapters.redis.events import RedisEventBus

    return RedisEventBus(settings.redis_url.get_secret_value())


def notifier(settings: Settings, on_failure: Callable[[], object] = lambda: None) -> "AppriseNotifier":
    from alphamill.adapters.notify.apprise import AppriseNotifier

    return AppriseNotifier([url.get_secret_value() for url in settings.notify_urls], on_failure=on_failure)


def portfolios(settings: Settings) -> list[PortfolioSpec]:
    """The configured portfolios; `InvalidConfig` when there is none, or two share a name."""
    specs = [load_portfolio(path) for path in settings.portfolios]
    needs = {
        "at least one": len(specs) > 0,
        "names of their own": len({spec.name for spec in specs}) == len(specs),
    }
    for what, met in needs.items():
        if not met:
            raise InvalidConfig(
                f"the portfolios {[spec.name for spec in specs]} need {what}.",
                field="ALPHAMILL_PORTFOLIOS",
                remedy="Name each portfolio file once.",
            )
    return specs


@dataclass(frozen=True, slots=True)
class ControllerParts:
    """What one controller process is made of."""

    door: "Door"
    trader: "Trader"
    bus: EventBus
    ledger: Ledger
    features: FeatureStore
    forecaster: Forecaster
    registry: ModelRegistry
    model_server: ModelServer
    metrics: "Metrics"
    closers: tuple[Callable[[], None], ...] = ()

    def close(self) -> None:
        """Let messages under way go out, then release connections."""
        for close in self.closers:
            close()


def controller_parts(settings: Settings) -> ControllerParts:
    """Wire the live path: real stores, the deployed forecaster, the broker of the portfolio file."""
    from prometheus_client import CollectorRegistry

    from alphamill.adapters.clock.bars import BarClock
    from alphamill.adapters.clock.system import SystemClock
    from alphamill.adapters.sql.journal import SqlBarJournal
    from alphamill.door import Door, door_checks
    from alphamill.features.history import BarHistory
    from alphamill.monitoring import Metrics
    from alphamill.trading.desk import Desk
    from alphamill.trading.lateness import lateness
    from alphamill.trading.newest import NewestFeatures
    from alphamill.trading.portfolio_trader import PortfolioTrader
    from alphamill.trading.trader import Trader

    specs = portfolios(settings)
    bar_clock = BarClock()
    clock: Clock = bar_clock if settings.clock == "bars" else SystemClock()
    metrics = Metrics(CollectorRegistry())
    books, asks = ledger(settings), forecaster(settings)
    tells, journal = notifier(settings, metrics.notification_failures.inc), SqlBarJournal(settings.ledger_url)
    journal.prune(JOURNAL_SESSIONS)
    store = bar_store(settings)
    desks = []
    for calendar in dict.fromkeys(spec.universe.calendar for spec in specs):
        own = [spec for spec in specs if spec.universe.calendar == calendar]
        brokers = [paper_broker(settings, spec) for spec in own]
        history, features = BarHistory(), NewestFeatures(feature_store(settings))
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
    trader = Trader(
        store=store, desks=desks, ledger=books, clock=clock, tell=lambda alert: tells.notify(alert.title, alert.body)
    )
    door = Door(check=door_checks(SystemClock()), journal=journal, store=store, clock=clock)
    registry = model_registry(settings)
    return ControllerParts(
        door=door,
        trader=trader,
        bus=event_bus(settings),
        ledger=books,
        features=feature_store(settings),
        forecaster=asks,
        registry=registry,
        model_server=model_server(settings),
        metrics=metrics,
        closers=(tells.close, journal.close, books.close, asks.close),
    )


def paper_broker(settings: Settings, spec: PortfolioSpec) -> "PaperBroker":
    """The broker of one portfolio; its books outlive the process, like a real broker's."""
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.brokers.paper.store import SqlPaperStore

    books = SqlPaperStore(f"sqlite:///{settings.home.resolve() / f'paper_broker_{spec.name}.db'}")
    opens = partial(session_open, spec.universe.calendar)
    return PaperBroker(
        spec.broker,
        initial_cash={spec.name: spec.initial_cash_usd},
        store=books,
        session_open=opens,
        delistings=spec.universe.delistings,
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
