"""The doors of the library: small protocols named for the need, at most five methods each, one file per need.

`Wiring` alone has more: it is what a runtime builds, one method per port.

Adapters live in `alphamill.adapters`, one folder per technology; the fake of every port is a real class in
`alphamill.testing`. One contract suite in tests/contract runs over both.
"""

from alphamill.ports.bars import BarJournal, BarListener, BarStore
from alphamill.ports.broker import Broker, TradingVenue, Venue
from alphamill.ports.clock import Clock
from alphamill.ports.events import EventBus
from alphamill.ports.features import OfflineFeatures, OnlineFeatures
from alphamill.ports.feeds import MarketFeed
from alphamill.ports.forecaster import Forecaster
from alphamill.ports.lake import Lake
from alphamill.ports.lease import Grant, Lease
from alphamill.ports.ledger import Books, Ledger, LedgerHistory, LedgerView
from alphamill.ports.models import ModelRegistry, ModelServer
from alphamill.ports.notifier import Notifier
from alphamill.ports.pipelines import Pipelines
from alphamill.ports.portfolios import PortfolioSource
from alphamill.ports.progress import ReportProgress
from alphamill.ports.search import Search
from alphamill.ports.status import StatusBoard
from alphamill.ports.tracking import Tracking
from alphamill.ports.wiring import Wiring

__all__ = [
    "BarJournal",
    "BarListener",
    "BarStore",
    "Books",
    "Broker",
    "Clock",
    "EventBus",
    "Forecaster",
    "Grant",
    "Lake",
    "Lease",
    "Ledger",
    "LedgerHistory",
    "LedgerView",
    "MarketFeed",
    "ModelRegistry",
    "ModelServer",
    "Notifier",
    "OfflineFeatures",
    "OnlineFeatures",
    "Pipelines",
    "PortfolioSource",
    "ReportProgress",
    "Search",
    "StatusBoard",
    "Tracking",
    "TradingVenue",
    "Venue",
    "Wiring",
]
