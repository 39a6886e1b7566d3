"""Composition root: settings in, wired objects out. A runtime builds the parts; here they are put together.

Adapters are imported inside the functions: asking for the ledger must not load torch.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from alphamill.domain.calendars import last_close, session_open
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import NotSupported
from alphamill.ports import Clock, Forecaster, Wiring
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.clock.bars import BarClock
    from alphamill.adapters.files.progress import ProgressTail
    from alphamill.domain.forecasts import ModelSignature
    from alphamill.door import Roster
    from alphamill.evaluation.backtest import BacktestParts
    from alphamill.runtimes.embedded.runtime import Runtime


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


def bar_clock() -> "BarClock":
    """Time that bars tell: of a backtest and of a replay."""
    from alphamill.adapters.clock.bars import BarClock

    return BarClock()


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
