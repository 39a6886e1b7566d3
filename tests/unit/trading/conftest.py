"""A whole trading system in memory: every port is a fake that behaves, so a test can break one at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from drill.live import Live
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.clock.bars import BarClock
from alphamill.adapters.clock.system import SystemClock
from alphamill.adapters.delta.bar_store import DeltaBarStore
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.bootstrap import rosters
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.calendars import session_open
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.portfolios import PortfolioSpec, Sizing, Universe
from alphamill.door import Door, door_checks
from alphamill.features import MODEL_FEATURES, registered
from alphamill.features.history import BarHistory
from alphamill.monitoring import Metrics
from alphamill.ports import Clock
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.settings import Settings
from alphamill.testing.bar_store import InMemoryBarStore
from alphamill.testing.event_bus import InMemoryEventBus
from alphamill.testing.features import InMemoryOnlineFeatures
from alphamill.testing.forecaster import ConstantForecaster
from alphamill.testing.journal import InMemoryBarJournal
from alphamill.testing.lease import InMemoryLease
from alphamill.testing.model_registry import InMemoryModelRegistry
from alphamill.testing.model_server import InProcessModelServer
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.testing.status import InMemoryStatusBoard
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.newest import NewestFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader
from serving.gateway.app import create_app
from serving.gateway.deps import Parts
from serving.gateway.merging import Merging
from serving.trader.loop import TradingLoop

SYMBOLS = ("SYN000", "SYN001", "SYN002")
HISTORY = 150
AHEAD = 8
MEANS = {"SYN000": 0.03, "SYN001": -0.02, "SYN002": 0.01}


@pytest.fixture(scope="session")
def market() -> pl.DataFrame:
    return synthetic_market(3, HISTORY + AHEAD, seed=7)


@pytest.fixture(scope="session")
def spec() -> PortfolioSpec:
    sizing = Sizing(covariance_bars=60, max_weight=0.5)
    return PortfolioSpec(name="demo", universe=Universe(symbols=SYMBOLS), sizing=sizing)


@pytest.fixture(scope="session")
def signature() -> ModelSignature:
    return ModelSignature("forecaster", "1", tuple(MODEL_FEATURES), 5, "bars@0", "run-1", "paper")


@dataclass
class System:
    """The parts, and the bars still to come."""

    spec: PortfolioSpec
    store: InMemoryBarStore | DeltaBarStore
    journal: InMemoryBarJournal
    features: InMemoryOnlineFeatures
    forecaster: ConstantForecaster
    broker: PaperBroker
    ledger: InMemoryLedger
    notifier: InMemoryNotifier
    live: Live
    ahead: list[pl.DataFrame]

    def post(self, session: pl.DataFrame) -> None:
        self.live.accept(session.select(RAW_BAR_SCHEMA.names()))

    def run(self, session: pl.DataFrame) -> None:
        """One session through the live path, as the engine does it."""
        self.post(session)
        self.live.close_sessions()
        self.live.process()

    def last_decision(self):  # type: ignore[no-untyped-def]
        return self.ledger.decisions(self.spec.name)[-1]


def _broker(spec: PortfolioSpec, name: str) -> PaperBroker:
    opens = partial(session_open, spec.universe.calendar)
    return PaperBroker(spec.broker, initial_cash={name: spec.initial_cash_usd}, session_open=opens)


@pytest.fixture
def make_live(spec: PortfolioSpec) -> Callable[..., Live]:
    """Wire the live path from given parts, as a controller process does when it starts."""

    def make(  # type: ignore[no-untyped-def]
        system_parts: dict,  # type: ignore[type-arg]
        clock: Clock | None = None,
        spec: PortfolioSpec = spec,
        others: tuple[str, ...] = (),
    ) -> Live:
        bar_clock, history = BarClock(), BarHistory()
        time = clock or bar_clock
        features = NewestFeatures(system_parts["features"])
        names = ("forecaster", "ledger", "notifier")
        brokers = [
            system_parts["broker"],
            *(system_parts.setdefault(f"broker of {name}", _broker(spec, name)) for name in others),
        ]
        traders = [
            PortfolioTrader(
                spec.model_copy(update={"name": name}),
                history=history,
                broker=broker,
                features=features,
                **{part: system_parts[part] for part in names},
            )
            for name, broker in zip((spec.name, *others), brokers, strict=True)
        ]
        desk = Desk(
            calendar=spec.universe.calendar,
            history=history,
            features=features,
            listeners=[bar_clock, *brokers],
            traders=traders,
            lateness=lateness(time),
        )
        store, ledger, tells = system_parts["store"], system_parts["ledger"], system_parts["notifier"]
        trader = Trader(
            store=store,
            desks=[desk],
            ledger=ledger,
            clock=time,
            tell=lambda alert: tells.notify(alert.title, alert.body),
        )
        door = Door(check=door_checks(SystemClock()), journal=system_parts["journal"], store=store, clock=time)
        live = Live(door, trader, ledger, time)
        live.start()
        return live

    return make


@pytest.fixture
def parts(market: pl.DataFrame, spec: PortfolioSpec, signature: ModelSignature, tmp_path: Path) -> dict:  # type: ignore[type-arg]
    cut = market["session"].unique().sort()[HISTORY - 1]
    store = InMemoryBarStore()
    store.append(market.filter(pl.col("session") <= cut))
    return {
        "store": store,
        "journal": InMemoryBarJournal(),
        "features": InMemoryOnlineFeatures(tuple(feature.name for feature in registered())),
        "forecaster": ConstantForecaster(signature, mean=MEANS, std=0.04),
        "broker": _broker(spec, spec.name),
        "ledger": InMemoryLedger(),
        "notifier": InMemoryNotifier(),
    }


@pytest.fixture
def ahead(market: pl.DataFrame) -> list[pl.DataFrame]:
    cut = market["session"].unique().sort()[HISTORY - 1]
    return market.filter(pl.col("session") > cut).sort("ts", "symbol").partition_by("ts", maintain_order=True)


@pytest.fixture
def system_with(parts, make_live, spec, ahead) -> Callable[..., System]:  # type: ignore[no-untyped-def]
    """A system whose portfolio has some of its fields changed, on the bars given."""

    def build(bars: list[pl.DataFrame] = ahead, **changes: object) -> System:
        changed = spec.model_copy(update=changes)
        parts["broker"] = _broker(changed, changed.name)
        return System(spec=changed, live=make_live(parts, spec=changed), ahead=bars, **parts)

    return build


@pytest.fixture
def system(parts, make_live, spec, ahead) -> System:  # type: ignore[no-untyped-def]
    return System(spec=spec, live=make_live(parts), ahead=ahead, **parts)


@pytest.fixture
def models(tmp_path, model_factory) -> tuple[InMemoryModelRegistry, InProcessModelServer]:  # type: ignore[no-untyped-def]
    registry = InMemoryModelRegistry()
    for bias in (0.0, 0.1):
        card = model_factory(tmp_path / f"model-{bias}", bias=bias)
        version = registry.register(tmp_path / f"model-{bias}", card)
    server = InProcessModelServer(registry, tmp_path / "served")
    server.deploy(version, "forecaster")
    return registry, server


@dataclass
class Running:
    """A trading loop over the system in memory, in a thread of its own as in a process of its own."""

    system: System
    board: InMemoryStatusBoard
    metrics: Metrics

    @contextmanager
    def __call__(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._until(over)))
        thread.start()
        yield
        over.set()
        thread.join(20)
        assert not thread.is_alive()

    async def _until(self, over: threading.Event) -> None:
        loop = self.loop()
        await loop.start()
        while not over.is_set():
            await asyncio.sleep(0.01)
        await loop.stop()

    def loop(self, bus: InMemoryEventBus | None = None) -> TradingLoop:
        clock = SystemClock()
        made = SimpleNamespace(trader=self.system.live.trader, close=lambda: None)
        return TradingLoop(
            lambda grant: made,
            lease=InMemoryLease(InMemoryLedger(), ttl_secs=60, clock=clock),
            holder="test",
            ttl_secs=60,
            bus=bus or InMemoryEventBus(),
            board=self.board,
            clock=clock,
            metrics=self.metrics,
            missing=lambda: [down] if (down := self.system.forecaster._down) else [],
        )


@pytest.fixture
def running(system, monkeypatch: pytest.MonkeyPatch) -> Running:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("serving.trader.loop.TICK_SECS", 0.02)
    return Running(system, InMemoryStatusBoard(), Metrics(CollectorRegistry()))


@pytest.fixture
def bus() -> InMemoryEventBus:
    """The gateway's."""
    return InMemoryEventBus()


@pytest.fixture
def parts_of_gateway(system, running, bus, models) -> Parts:  # type: ignore[no-untyped-def]
    registry, server = models
    metrics, wall = running.metrics, SystemClock()
    live = system.live
    merging = Merging(
        live.door,
        bus,
        metrics,
        rosters=lambda: rosters((trader.spec, trader.symbols) for trader in live.trader.portfolios()),
        on_merged=lambda close: None,
    )
    return Parts(
        settings=Settings(target_timeout_secs=10),
        door=live.door,
        merging=merging,
        ledger=system.ledger,
        view=system.ledger,
        history=system.ledger,
        board=running.board,
        forecaster=system.forecaster,
        registry=registry,
        model_server=server,
        clock=live.clock,
        wall=wall,
        metrics=metrics,
    )


@pytest.fixture
def app(parts_of_gateway) -> FastAPI:  # type: ignore[no-untyped-def]
    """The gateway's application over the system in memory; `running` trades behind it."""
    return create_app(Settings(), lambda settings: parts_of_gateway)
