"""Everything that a runtime builds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports.bars import BarJournal, BarListener, BarStore
from alphamill.ports.broker import TradingVenue
from alphamill.ports.clock import Clock
from alphamill.ports.events import EventBus
from alphamill.ports.features import OfflineFeatures, OnlineFeatures
from alphamill.ports.feeds import MarketFeed
from alphamill.ports.forecaster import Forecaster
from alphamill.ports.lake import Lake
from alphamill.ports.lease import Lease
from alphamill.ports.ledger import Books, LedgerHistory, LedgerView
from alphamill.ports.models import ModelRegistry, ModelServer
from alphamill.ports.notifier import Notifier
from alphamill.ports.pipelines import Pipelines
from alphamill.ports.portfolios import PortfolioSource
from alphamill.ports.progress import ReportProgress
from alphamill.ports.search import Search
from alphamill.ports.status import StatusBoard
from alphamill.ports.tracking import Tracking

if TYPE_CHECKING:
    from alphamill.settings import Settings


class BarBroker(TradingVenue, BarListener, Protocol):
    """A broker that is told of closed bars: a paper broker fills from them."""


class LedgerReading(LedgerView, LedgerHistory, Protocol):
    """How things stand and what has happened."""


class WholeLedger(Books, LedgerHistory, Protocol):
    """A ledger with all its sides."""


class Wiring(PortfolioSource, Protocol):
    """One runtime's parts: a method per port, and no decision of where it runs is made anywhere else.

    It has more methods than a port may have because it is none: nobody implements it but the runtimes, and whoever is
    handed one asks it for the few parts it needs. Each call builds a new part; nothing is built, and no library of a
    technology imported, before it is asked for. What a runtime does not have raises `NotSupported`.
    """

    @property
    def settings(self) -> "Settings": ...

    def portfolios(self) -> list[PortfolioSpec]:
        """The configured portfolios; `InvalidConfig` when there is none, or two share a name."""
        ...

    def clock(self) -> Clock:
        """The wall clock."""
        ...

    def feed(self, name: str) -> MarketFeed:
        """``sample`` is the bundled real sample; anything else is a folder of CSV or Parquet files."""
        ...

    def bars(self, table: str = "bars") -> BarStore: ...

    def lake(self) -> Lake:
        """The other tables: landing, quarantine, features, training."""
        ...

    def journal(self) -> BarJournal: ...

    def offline_features(self) -> OfflineFeatures: ...

    def online_features(self) -> OnlineFeatures: ...

    def search(self) -> Search: ...

    def tracking(self) -> Tracking: ...

    def registry(self) -> ModelRegistry: ...

    def model_server(self) -> ModelServer: ...

    def forecaster(self, service: str) -> Forecaster:
        """Asks whatever version is deployed as `service` at that moment."""
        ...

    def broker(self, spec: PortfolioSpec) -> BarBroker:
        """The broker of one portfolio; its books outlive the process, like a real broker's."""
        ...

    def ledger(self) -> WholeLedger:
        """Opened to be written: made, or brought up to date, when it is not."""
        ...

    def history(self) -> LedgerReading:
        """A ledger that is there already, opened to be read; `StoreUnavailable` where there is none."""
        ...

    def lease(self) -> Lease:
        """Who may trade; it fences the writes of `ledger`."""
        ...

    def status_board(self) -> StatusBoard: ...

    def events(self, reader: str) -> EventBus:
        """The bus as `reader` reads it; processes of one name would share the messages between them."""
        ...

    def notifier(self, on_failure: Callable[[], object] = lambda: None) -> Notifier:
        """`on_failure` is called for each message that did not go out."""
        ...

    def pipelines(self) -> Pipelines: ...

    def progress(self) -> ReportProgress: ...

    def join(self) -> None:
        """Make this process end with the runtime that started it, if one did."""
        ...

    def close(self) -> None:
        """Let messages under way go out, then release the connections of all that was built, the newest first."""
        ...
