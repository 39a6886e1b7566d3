"""What every runtime builds in the same way from its settings: stores, events, and who tells a person.

Adapters are imported inside the methods: asking for the ledger must not load torch.
"""

import contextlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import (
    BarStore,
    Clock,
    EventBus,
    Lake,
    Lease,
    MarketFeed,
    ModelRegistry,
    ReportProgress,
    StatusBoard,
    Tracking,
)
from alphamill.settings import Settings

if TYPE_CHECKING:
    from alphamill.adapters.feast.offline_features import FeastOfflineFeatures
    from alphamill.adapters.feast.online_features import FeastOnlineFeatures
    from alphamill.adapters.feast.repo import FeastRepo
    from alphamill.adapters.kserve.v2 import V2Forecaster
    from alphamill.adapters.notify.apprise import AppriseNotifier
    from alphamill.adapters.sql import SqlBarJournal, SqlLedger, SqlLedgerView

#: Merged bars are in the bars table; the journal keeps those of a month, to see what came in and when.
JOURNAL_SESSIONS: Final = 21


class Stores:
    """The part of a `Wiring` that URLs decide, wherever the process runs.

    Parameters
    ----------
    artifact_root
        Folder or URI of MLflow's artifacts.
    """

    def __init__(self, settings: Settings, artifact_root: str) -> None:
        self._settings = settings
        self._artifact_root = artifact_root
        self._open = contextlib.ExitStack()

    @property
    def settings(self) -> Settings:
        return self._settings

    def portfolios(self) -> list[PortfolioSpec]:
        from alphamill.adapters.files.portfolios import PortfolioFiles

        return PortfolioFiles(self.settings.portfolios).portfolios()

    def clock(self) -> Clock:
        from alphamill.adapters.clock.system import SYSTEM_CLOCK

        return SYSTEM_CLOCK

    def feed(self, name: str) -> MarketFeed:
        from alphamill.adapters.feeds.files import FolderFeed
        from alphamill.adapters.feeds.sample import SampleFeed

        return SampleFeed() if name == "sample" else FolderFeed(Path(name))

    def bars(self, table: str = "bars") -> BarStore:
        from alphamill.adapters.delta.bar_store import DeltaBarStore

        return DeltaBarStore(f"{self.settings.lake}/{table}")

    def lake(self) -> Lake:
        from alphamill.adapters.delta.lake import DeltaLake

        return DeltaLake(self.settings.lake)

    def journal(self) -> "SqlBarJournal":
        from alphamill.adapters.sql import SqlBarJournal

        journal = SqlBarJournal(self.settings.ledger_url)
        journal.prune(JOURNAL_SESSIONS)
        self._open.callback(journal.close)
        return journal

    def offline_features(self) -> "FeastOfflineFeatures":
        from alphamill.adapters.feast.offline_features import FeastOfflineFeatures

        return FeastOfflineFeatures(self._feast)

    def online_features(self) -> "FeastOnlineFeatures":
        from alphamill.adapters.feast.online_features import FeastOnlineFeatures

        return FeastOnlineFeatures(self._feast)

    def tracking(self) -> Tracking:
        from alphamill.adapters.mlflow.tracking import MlflowTracking

        return MlflowTracking(self.settings.tracking_uri, self._artifact_root)

    def registry(self) -> ModelRegistry:
        from alphamill.adapters.mlflow.registry import MlflowRegistry

        return MlflowRegistry(self.settings.tracking_uri, self._artifact_root)

    def ledger(self) -> "SqlLedger":
        from alphamill.adapters.sql import SqlLedger

        ledger = SqlLedger(self.settings.ledger_url)
        self._open.callback(ledger.close)
        return ledger

    def history(self) -> "SqlLedgerView":
        from alphamill.adapters.sql import SqlLedgerView

        reader = SqlLedgerView(self.settings.ledger_url)
        self._open.callback(reader.close)
        return reader

    def lease(self) -> Lease:
        from alphamill.adapters.sql import SqlLease

        lease = SqlLease(self.settings.ledger_url, ttl_secs=self.settings.lease_ttl_secs, clock=self.clock())
        self._open.callback(lease.close)
        return lease

    def status_board(self) -> StatusBoard:
        from alphamill.adapters.sql import SqlStatusBoard

        board = SqlStatusBoard(self.settings.ledger_url)
        self._open.callback(board.close)
        return board

    def events(self, reader: str) -> EventBus:
        from alphamill.adapters.redis.events import RedisEventBus

        return RedisEventBus(self.settings.redis_url.get_secret_value(), reader=reader)

    def notifier(self, on_failure: Callable[[], object] = lambda: None) -> "AppriseNotifier":
        from alphamill.adapters.notify.apprise import AppriseNotifier

        notifier = AppriseNotifier([url.get_secret_value() for url in self.settings.notify_urls], on_failure=on_failure)
        self._open.callback(notifier.close)
        return notifier

    def progress(self) -> ReportProgress:
        from alphamill.adapters.files.progress import report_progress

        return report_progress

    def close(self) -> None:
        """See `ports.Wiring`."""
        self._open.close()

    def asks(self, endpoint: Callable[[], str] | str, service: str) -> "V2Forecaster":
        """A forecaster over the v2 protocol; both runtimes serve models by it."""
        from alphamill.adapters.kserve.v2 import V2Forecaster

        forecaster = V2Forecaster(endpoint, service, self.settings.forecast_timeout_secs)
        self._open.callback(forecaster.close)
        return forecaster

    @cached_property
    def _feast(self) -> "FeastRepo":
        """One for both sides, so that the threads of this process take turns."""
        from alphamill.adapters.feast.repo import FeastRepo

        redis_url = self.settings.redis_url.get_secret_value()
        return FeastRepo(self.settings.feature_repo, self.settings.home.resolve() / "features", redis_url)
