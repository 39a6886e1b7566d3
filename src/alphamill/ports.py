"""The doors of the library: small protocols named for the need, at most five methods each.

Adapters live in `alphamill.adapters`, named for their technology; the fake of every port is a real
class in `alphamill.testing`. One contract suite in tests/contract runs over both.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.domain.decisions import Decision, TradingState
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast, ModelSignature
from alphamill.domain.ledger import OrderTrail, PortfolioRecord, Settlement
from alphamill.domain.models import Deployment, ModelCard, ModelVersion
from alphamill.domain.orders import Fill, Order, Position
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.domain.session_bars import SessionBars

FloatArray = npt.NDArray[np.float32]


class Clock(Protocol):
    """Time, always UTC with zone. Backtest and replay advance it by bars."""

    def now(self) -> dt.datetime: ...


class MarketFeed(Protocol):
    """A source of raw daily bars."""

    @property
    def source(self) -> str:
        """Name written into every bar's `source` column."""
        ...

    def read(self, *, start: dt.date | None = None, until: dt.date | None = None) -> pl.DataFrame:
        """Bars of `RAW_BAR_SCHEMA` for sessions in [start, until], as the source has them: unchecked."""
        ...


class BarStore(Protocol):
    """A versioned table of `BAR_SCHEMA`, one row per (symbol, ts)."""

    def append(self, bars: pl.DataFrame) -> int:
        """Merge by key and return the table's version. The same bars again change nothing."""
        ...

    def read(
        self,
        *,
        symbols: Sequence[str] | None = None,
        start: dt.date | None = None,
        until: dt.date | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Rows sorted by (symbol, ts); sessions in [start, until]; `NotFound` for an unknown version."""
        ...

    def version(self) -> int:
        """Newest version; -1 while the table does not exist."""
        ...

    def tidy(self) -> None:
        """Put in order what many appends have left, rows unchanged. Takes its time: call it when nothing waits."""
        ...


class BarJournal(Protocol):
    """Durable landing of accepted bars before they are acknowledged; one commit per batch."""

    def append(self, bars: pl.DataFrame) -> None: ...

    def pending(self) -> pl.DataFrame:
        """Bars not yet marked merged, `BAR_SCHEMA`, newest write per key, sorted by (ts, symbol)."""
        ...

    def mark_merged(self, bars: pl.DataFrame) -> None: ...


class FeatureStore(Protocol):
    """Features for training (offline, point in time) and for trading (online, by name)."""

    def write_offline(self, rows: pl.DataFrame) -> None:
        """Replace the offline table by `rows`: symbol, ts, then one Float64 column per feature."""
        ...

    def materialize(self, *, until: dt.datetime) -> int:
        """Load the newest offline row per symbol up to `until` into the online store; rows written."""
        ...

    def write_online(self, rows: pl.DataFrame) -> None:
        """Write newest rows; an older row never overwrites a newer one."""
        ...

    def read_online(self, symbols: Sequence[str], features: Sequence[str]) -> dict[str, FeatureSnapshot]:
        """Snapshots by symbol. A symbol without a row, or with a null among `features`, is absent."""
        ...

    def training_rows(self, entities: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
        """Point-in-time join: for each (symbol, ts) of `entities` the newest row not after ts."""
        ...


class ModelRegistry(Protocol):
    """Trained models with their cards; aliases name the one that trades."""

    def register(self, model_dir: Path, card: ModelCard) -> ModelVersion:
        """Store `model_dir` (model.onnx, card.json) under a new version of `card.name`."""
        ...

    def get(self, name: str, ref: str) -> ModelVersion:
        """By version number or alias; `NotFound` otherwise."""
        ...

    def set_alias(self, version: ModelVersion, alias: str) -> ModelVersion: ...

    def download(self, version: ModelVersion, into: Path) -> Path:
        """Folder with model.onnx and card.json."""
        ...

    def versions(self, name: str) -> list[ModelVersion]:
        """Oldest first; empty if the name is unknown."""
        ...


class ModelServer(Protocol):
    """Runs model versions behind the v2 inference protocol."""

    def deploy(self, version: ModelVersion, service: str) -> Deployment:
        """Start, wait until ready, ask a smoke question, then switch; the old one stays on failure."""
        ...

    def deployment(self, service: str) -> Deployment:
        """What answers now; `NotFound` if nothing was deployed."""
        ...

    def stop(self, service: str) -> None: ...


class Forecaster(Protocol):
    """Asks a model for forecasts."""

    def signature(self) -> ModelSignature: ...

    def forecast(self, snapshots: Sequence[FeatureSnapshot]) -> list[Forecast]:
        """One forecast per snapshot, in order; all finite with std > 0, else `ForecasterUnavailable`."""
        ...


class Broker(Protocol):
    """Executes orders. Submitting an id it already has is answered, not executed again."""

    def submit(self, order: Order) -> Order:
        """The order as the broker now sees it; `BrokerUnavailable` when the answer is unclear."""
        ...

    def order(self, order_id: str) -> Order | None:
        """What the broker knows of an id; None if it never saw it."""
        ...

    def cancel(self, order_id: str) -> Order: ...

    def fills(self, portfolio: str, *, after: str | None = None) -> list[Fill]:
        """Fills in the order they happened, after the fill id given."""
        ...

    def positions(self, portfolio: str) -> list[Position]: ...


class Ledger(Protocol):
    """The truth about decisions, orders, fills and state. Each write is one transaction."""

    def load(self, spec: PortfolioSpec) -> PortfolioRecord:
        """The portfolio's record; created ACTIVE with its initial cash when unknown."""
        ...

    def commit_decision(self, decision: Decision) -> None:
        """Decision, inputs, rule results and PENDING orders. The same id again changes nothing."""
        ...

    def settle(self, settlement: Settlement) -> None:
        """Order updates, fills, cash, positions and NAV. The same fill id again changes nothing."""
        ...

    def set_state(
        self,
        portfolio: str,
        state: TradingState,
        reason: str,
        at: dt.datetime,
        *,
        only_from: TradingState | None = None,
    ) -> None:
        """Becoming ACTIVE counts the peak NAV anew: a resumed portfolio is not stopped again by the old one.

        With `only_from` nothing changes unless that is the state at the moment of writing.
        """
        ...

    def explain(self, order_id: str) -> OrderTrail:
        """From an order back to everything it was decided on; `NotFound` for an unknown id."""
        ...


class EventBus(Protocol):
    """Wakes readers. Losing an event loses no data: readers recover from the journal and the ledger."""

    def subscribe(self, topic: str, handler: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Register before `start`."""
        ...

    async def start(self) -> None: ...

    async def publish(self, topic: str, message: dict[str, Any]) -> None:
        """`EventBusUnavailable` when the bus cannot take it."""
        ...

    async def stop(self) -> None: ...


class Notifier(Protocol):
    """Tells a person."""

    def notify(self, title: str, body: str) -> None:
        """Never raises into the trading path: a failed notification is logged and counted."""
        ...


class PortfolioSource(Protocol):
    """Where portfolio specs come from."""

    def portfolios(self) -> list[PortfolioSpec]: ...


class BarListener(Protocol):
    """Something that lives on closed bars beside the controller, e.g. the paper broker's matching."""

    def on_bars(self, bars: SessionBars) -> None:
        """All bars of one session, before any decision of that session."""
        ...
