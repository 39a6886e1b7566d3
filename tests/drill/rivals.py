"""Two traders on one ledger and one venue: one is paused in the middle of what it does while the other acts."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from alphamill.adapters.clock.bars import BarClock
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.ledger import Target, target_id
from alphamill.errors import AlphamillError, Fenced
from alphamill.features.history import BarHistory
from alphamill.ports import Grant
from alphamill.testing.bar_store import InMemoryBarStore
from alphamill.testing.clock import ManualClock
from alphamill.testing.lease import InMemoryLease
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.newest import StoredFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader
from drill.audit import Evidence, violations
from drill.script import Script, SwayingForecaster
from drill.storage import InMemoryPaperStore, paper_broker
from drill.witness import Witness

TTL_SECS: Final = 10.0
#: A pause comes before one of so many calls of a round.
CALLS: Final = 40


@dataclass
class _Pause:
    """Before which call of a round a process stops, and what happens meanwhile."""

    at_call: int
    meanwhile: Callable[[], None]
    calls: int = 0


class _Stopped:
    """A port whose every call is a moment at which its process may be paused."""

    def __init__(self, port: Any, process: "Process") -> None:
        self._port, self._process = port, process

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found) or name in ("on_bars", "capabilities"):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._process.moment()
            answer = found(*args, **kwargs)
            self._process.moment()
            return answer

        return call


@dataclass
class Process:
    """One trader process: it acts while it thinks that it holds the lease."""

    name: str
    world: "Rivals"
    grant: Grant | None = None
    trader: Trader | None = None
    pause: _Pause | None = None
    errors: list[str] = field(default_factory=list)

    def moment(self) -> None:
        pause = self.pause
        if pause is None:
            return
        pause.calls += 1
        if pause.calls == pause.at_call:
            self.pause = None
            pause.meanwhile()

    def round(self) -> None:
        """What the trader's loop does in one round."""
        self._guarded(self._take_the_seat)
        for work in ("enforce_states", "decide_targets", "advance"):
            if self.trader is not None:
                self._guarded(getattr(self.trader, work))
        self.pause = None

    def _take_the_seat(self) -> None:
        grant = self.world.lease.acquire(self.name)
        if grant is None or self.grant is None or grant.token != self.grant.token:
            self.trader = None
        self.grant = grant
        if grant is not None and self.trader is None:
            trader = self.world.make(self, grant)
            trader.start()
            self.trader = trader

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Fenced as error:
            self.errors.append(error.code)
            self.trader = self.grant = None
        except AlphamillError as error:
            self.errors.append(error.code)


class Rivals:
    """A script played by two processes that pause at seeded moments; `violations` says what broke.

    Parameters
    ----------
    ledger
        A broken one shows that the audit sees what it should.
    """

    def __init__(
        self,
        script: Script,
        signature: ModelSignature,
        seed: int,
        ledger: Callable[[], InMemoryLedger] = InMemoryLedger,
    ) -> None:
        self.script, self._signature, self._rng = script, signature, random.Random(seed)
        self.ledger, self.wall = ledger(), ManualClock(script.closes[0])
        self.lease = InMemoryLease(self.ledger, ttl_secs=TTL_SECS, clock=self.wall)
        self.store = InMemoryBarStore()
        self.store.append(script.history)
        self.witness = Witness()
        self.venue = self.witness.at_broker(paper_broker(script.spec, InMemoryPaperStore()))
        self.processes = [Process("a", self), Process("b", self)]
        self.takeovers = self._wanted = 0
        self._ahead = list(script.sessions)

    def make(self, process: Process, grant: Grant) -> Trader:
        """A trader of its own over the shared ledger, table and venue."""
        clock, history = BarClock(), BarHistory()
        table, time = self.script.table
        time.of = self  # the table answers as of the newest bar of the market
        ledger = _Stopped(self.witness.at_ledger(self.ledger), process)
        broker = _Stopped(self.venue, process)
        self.takeovers += 1
        trader = PortfolioTrader(
            self.script.spec,
            features=StoredFeatures(table),
            forecaster=SwayingForecaster(self._signature),
            broker=broker,
            ledger=ledger,
            history=history,
            notifier=InMemoryNotifier(),
            token=lambda: grant.token,
        )
        desk = Desk(
            calendar=self.script.spec.universe.calendar,
            history=history,
            features=StoredFeatures(table),
            listeners=[clock, broker],
            traders=[trader],
            lateness=lateness(clock),
        )
        return Trader(store=self.store, desks=[desk], ledger=ledger, clock=clock)

    def now(self) -> dt.datetime:
        """Close of the newest bar: nobody decides on an older session while a newer one is there."""
        return self.store.read()["ts"].max()  # type: ignore[return-value]

    def run(self) -> None:
        self._turns(paused=False)
        while len(self._ahead) > 1:
            self._next_session()
            for _ in range(self._rng.randint(1, 3)):
                self._turns(paused=True)
            self._turns(paused=False)
        self.store.append(self._ahead.pop())  # in peace, so that what was left open before it is settled
        for _ in range(3):
            self.wall.set(self.wall.now() + dt.timedelta(seconds=TTL_SECS + 1))
            self._turns(paused=False)

    def _turns(self, *, paused: bool) -> None:
        order = self._rng.sample(self.processes, 2)
        for process, other in (order, order[::-1]):
            if paused and self._rng.random() < 0.8:
                process.pause = _Pause(self._rng.randint(1, CALLS), lambda other=other: self._meanwhile(other))
            process.round()

    def _meanwhile(self, other: Process) -> None:
        """Time goes by, more often than not beyond the lease; the world goes on, and the other process acts in it."""
        if self._rng.random() < 0.75:
            self.wall.set(self.wall.now() + dt.timedelta(seconds=TTL_SECS + 1))
        for _ in range(self._rng.randint(1, 3)):
            other.round()
            if self._rng.random() < 0.4:
                self._next_session()
            if self._rng.random() < 0.4:
                self._person_wants()
        other.round()

    def _next_session(self) -> None:
        if len(self._ahead) > 1:
            self.store.append(self._ahead.pop(0))

    def _person_wants(self) -> None:
        """A target by hand: what two traders then do differs by when they see it."""
        self._wanted += 1
        symbols = self.script.spec.universe.symbols
        weights = {symbol: round(self._rng.uniform(0, 0.3), 2) for symbol in symbols}
        at = self.now() + dt.timedelta(seconds=self._wanted)
        name = self.script.spec.name
        self.ledger.set_target(Target(target_id(name, at, weights), name, weights, at, "drill"))

    def violations(self) -> list[str]:
        """See `audit.violations`; and what the venue got twice under two ids, or before it was committed."""
        spec = self.script.spec
        evidence = Evidence(
            spec=spec,
            pages=self.ledger,
            record=self.ledger.record(spec.name),
            broker=self.venue,
            sent=self.witness.sent,
            bars=self.script.bars,
            closes=self.script.closes,
        )
        return [*self.witness.too_early, *violations(evidence)]
