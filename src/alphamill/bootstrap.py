"""Composition root: settings in, wired objects out. The only place that knows which adapter serves which port.

Adapters are imported inside the functions: asking for the ledger must not load torch.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from alphamill.domain.calendars import last_close, session_open
from alphamill.domain.portfolios import PortfolioSpec, load_portfolio
from alphamill.errors import InvalidConfig
from alphamill.ports import (
    BarStore,
    EventBus,
    FeatureStore,
    Forecaster,
    Lease,
    MarketFeed,
    ModelRegistry,
    ModelServer,
)
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.kserve.v2 import V2Forecaster
    from alphamill.adapters.notify.apprise import AppriseNotifier
    from alphamill.adapters.sql import SqlStatusBoard
    from alphamill.adapters.sql.journal import SqlBarJournal
    from alphamill.adapters.sql.ledger import SqlLedger
    from alphamill.door import Roster
    from alphamill.evaluation.backtest import BacktestParts

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


def journal(settings: Settings) -> "SqlBarJournal":
    """The journal of accepted bars, pruned to what is still of use."""
    from alphamill.adapters.sql.journal import SqlBarJournal

    opened = SqlBarJournal(settings.ledger_url)
    opened.prune(JOURNAL_SESSIONS)
    return opened


def lease(settings: Settings) -> Lease:
    """Who may trade: a row beside the ledger, whose writes it fences."""
    from alphamill.adapters.clock.system import SYSTEM_CLOCK
    from alphamill.adapters.sql import SqlLease

    return SqlLease(settings.ledger_url, ttl_secs=settings.lease_ttl_secs, clock=SYSTEM_CLOCK)


def status_board(settings: Settings) -> "SqlStatusBoard":
    from alphamill.adapters.sql import SqlStatusBoard

    return SqlStatusBoard(settings.ledger_url)


def event_bus(settings: Settings, reader: str) -> EventBus:
    """The bus as `reader` reads it; processes of one name would share the messages between them."""
    from alphamill.adapters.redis.events import RedisEventBus

    return RedisEventBus(settings.redis_url.get_secret_value(), reader=reader)


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


def rosters(portfolios: Iterable[tuple[PortfolioSpec, Collection[str]]]) -> list["Roster"]:
    """Whose bars a door awaits: by calendar the universes of portfolios, and what they still hold of earlier ones."""
    from alphamill.door import Roster

    by_calendar: dict[str, list[tuple[PortfolioSpec, Collection[str]]]] = {}
    for spec, held in portfolios:
        by_calendar.setdefault(spec.universe.calendar, []).append((spec, held))
    found = []
    for calendar, own in by_calendar.items():
        gone = {s: last_close(calendar, d.last_session) for spec, _ in own for s, d in spec.universe.delistings.items()}
        symbols = frozenset(symbol for spec, held in own for symbol in (*spec.universe.symbols, *held))
        grace = dt.timedelta(seconds=max(spec.schedule.grace_secs for spec, _ in own))
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
