"""The trader: versions of the bars table in, commits and orders out."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Final

import polars as pl
import structlog

from alphamill.domain.decisions import Decision
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.status import TradingStatus
from alphamill.errors import NotFound
from alphamill.monitoring.alerts import Alert
from alphamill.ports import BarStore, Books, Clock
from alphamill.trading.desk import Desk
from alphamill.trading.follower import Follower
from alphamill.trading.portfolio_trader import PortfolioTrader

#: A session is processed within a round or two; one that waits so long never will be without help.
STUCK_SECS: Final = 60.0

log = structlog.get_logger(__name__)


class Trader:
    """All portfolios of one process, a desk per calendar. Its only input is a version of the bars table.

    Calls may come from one thread at a time.

    Parameters
    ----------
    clock
        Says when portfolios were registered and whether a target came too late.
    """

    def __init__(
        self,
        *,
        store: BarStore,
        desks: Sequence[Desk],
        ledger: Books,
        clock: Clock,
        tell: Callable[[Alert], object] = lambda alert: None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._followers = tuple(Follower(desk, tell) for desk in desks)
        self._changes: tuple[tuple[int, int], pl.DataFrame] | None = None
        self.specs = tuple(trader.spec for trader in self.portfolios())

    def portfolios(self) -> list[PortfolioTrader]:
        """Every portfolio, desk by desk."""
        return list(chain.from_iterable(follower.desk.traders for follower in self._followers))

    def start(self) -> None:
        """Recover every desk from the newest version and the ledger; `NotFound` without bars."""
        version = self._store.version()
        for follower in self._followers:
            follower.open(self._store, version, self._now(version))

    def _now(self, version: int) -> dt.datetime:
        """The clock's time; before the first bar has told one, that of the newest bar."""
        try:
            return self._clock.now()
        except NotFound:
            newest = self._store.read(version=version)["ts"].max() if version >= 0 else None
            return newest if isinstance(newest, dt.datetime) else dt.datetime.fromtimestamp(0, dt.UTC)

    def look(self) -> None:
        """Read what is new in the bars table; nothing is decided yet. Errors as `advance`."""
        version = self._store.version()
        self._each(lambda follower: self._take(follower, version))

    def advance(self) -> list[Decision]:
        """Read what is new in the bars table and decide every session that closed; one desk's error stops no other.

        Raises
        ------
        AlphamillError
            The first error of any desk, after all had their turn. The next call tries again from where it stopped.
        """
        version = self._store.version()
        decisions: list[Decision] = []

        def work(follower: Follower) -> None:
            self._take(follower, version)
            decisions.extend(follower.work())

        self._each(work)
        return decisions

    def _take(self, follower: Follower, version: int) -> None:
        if version != follower.version:
            follower.take(self._between(follower.version, version), version)

    def _each(self, work: Callable[[Follower], object]) -> None:
        failed: Exception | None = None
        for follower in self._followers:
            try:
                work(follower)
            except Exception as error:
                log.error("desk failed", calendar=follower.desk.calendar, error=repr(error))
                failed = failed or error
        if failed is not None:
            raise failed

    def _between(self, since: int, until: int) -> pl.DataFrame:
        """Read once for all desks that stand at the same version."""
        if self._changes is None or self._changes[0] != (since, until):
            self._changes = (since, until), self._store.changes(since, until)
        return self._changes[1]

    def enforce_states(self) -> None:
        """Cancel what a halt or a reduction forbids, and finish what was committed but not sent."""
        failed: Exception | None = None
        for follower, trader in self._pairs():
            try:
                trader.send_committed(partial(follower.desk.late, trader))
            except Exception as error:
                log.error("state not enforced", portfolio=trader.spec.name, error=repr(error))
                failed = failed or error
        if failed is not None:
            raise failed

    def decide_targets(self) -> list[Decision]:
        """Answer what persons want, as the ledger has it; a target that cannot be done is answered with the reason."""
        decisions = []
        for follower, trader in self._pairs():
            target = self._ledger.pending_target(trader.spec.name)
            if target is None:
                continue
            # For the open after the newest close, and not for one after that on which it was sent.
            late = follower.desk.late(trader, follower.cursor) or follower.desk.late(trader, target.at)
            decisions.append(trader.answer(target, follower.market(trader), late=late))
        return decisions

    def statuses(self, now: dt.datetime, holder: str) -> list[TradingStatus]:
        """How every portfolio stands: whether it could trade now, and what stands in its way."""
        found = []
        for follower, trader in self._pairs():
            reasons = trader.obstacles()
            if follower.behind_secs > STUCK_SECS:
                reasons.append(f"a closed session has been waiting for {follower.behind_secs:.0f} s")
            found.append(TradingStatus(trader.spec.name, now, holder, tuple(reasons), follower.version))
        return found

    def records(self) -> list[PortfolioRecord]:
        """Every portfolio as the ledger knows it."""
        return [self._ledger.record(spec.name) for spec in self.specs]

    @property
    def behind_secs(self) -> float:
        """For how long a session that was read has been waiting to be processed; 0 if none is."""
        return max(follower.behind_secs for follower in self._followers)

    @property
    def cursor(self) -> dt.datetime:
        """Close of the newest session that every desk has processed."""
        return min(follower.cursor for follower in self._followers)

    @property
    def symbols(self) -> frozenset[str]:
        """All that is traded or still held."""
        return frozenset(chain.from_iterable(follower.desk.symbols for follower in self._followers))

    def portfolio(self, name: str | None) -> PortfolioTrader:
        """By name, the first one for None; `NotFound` lists the names there are."""
        return self._find(name)[1]

    def _pairs(self) -> list[tuple[Follower, PortfolioTrader]]:
        return [(follower, trader) for follower in self._followers for trader in follower.desk.traders]

    def _find(self, name: str | None) -> tuple[Follower, PortfolioTrader]:
        for follower, trader in self._pairs():
            if name in (None, trader.spec.name):
                return follower, trader
        names = ", ".join(trader.spec.name for trader in self.portfolios())
        raise NotFound(f"no portfolio {name!r}.", field="portfolio", remedy=f"There are: {names}.")
