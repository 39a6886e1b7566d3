"""A trading system of real parts whose doors fail by plan, driven over several sessions as the engine drives it."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, Final, Protocol

import polars as pl

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.domain.decisions import Decision
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.orders import Order
from alphamill.door import Door
from alphamill.errors import AlphamillError, NotReconciled, Unavailable
from alphamill.features.history import BarHistory
from alphamill.ports import Ledger
from alphamill.testing import faults
from alphamill.testing.faults import FaultPlan, ProcessDied
from alphamill.testing.journal import InMemoryBarJournal
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.trading.desk import Desk
from alphamill.trading.lateness import lateness
from alphamill.trading.newest import StoredFeatures
from alphamill.trading.portfolio_trader import PortfolioTrader
from alphamill.trading.trader import Trader
from drill.audit import Evidence, LedgerPages, difference, violations
from drill.live import Live
from drill.script import Script, SwayingForecaster
from drill.witness import Witness

#: A start that fails so often in a row is not bad luck.


MAX_STARTS: Final = 50
#: So does a request.
MAX_TRIES: Final = 3


class Storage(Protocol):
    """What outlives the process. Each call opens it anew, as a start does."""

    def ledger(self) -> Ledger: ...
    def pages(self) -> LedgerPages: ...
    def broker(self, plan: FaultPlan) -> Any:
        """The broker's side: `Broker` and `BarListener`."""
        ...

    def close(self) -> None: ...


class Drill:
    """One run of a script under a plan. `run` it, then ask for `violations`.

    Parameters
    ----------
    seed
        Of the order in which bars arrive and of how long faults last; the faults themselves are the plan's.
    make_controller, wrap_broker
        Replace the product's parts by broken ones, to see that the drill finds them.
    """

    def __init__(
        self,
        script: Script,
        storage: Storage,
        plan: FaultPlan,
        *,
        signature: ModelSignature,
        seed: int = 0,
        make_controller: Callable[..., PortfolioTrader] = PortfolioTrader,
        wrap_broker: Callable[[Any], Any] = lambda broker: broker,
    ) -> None:
        self.script, self.plan = script, plan
        self._storage, self._signature = storage, signature
        self._make_controller, self._wrap_broker = make_controller, wrap_broker
        self._rng = random.Random(seed)
        self._store, self._journal = copy.deepcopy(script.store), InMemoryBarJournal()
        self.witness = Witness()
        self.notifier = InMemoryNotifier()
        self.starts = 0
        #: Index of the session after which a person had to send a target again.
        self.repeated_target: int | None = None
        self.unexpected: list[str] = []
        self.last_error = ""
        self._over = False

    def run(self) -> None:
        """The whole script; the last session without faults, so that what was left open before it is settled."""
        self.start()
        for index, session in enumerate(self.script.sessions):
            self._over = index == len(self.script.sessions) - 1
            if self._over:
                self.plan.stop()
            self._arrive(index, session)
            for _ in range(self._rng.randint(1, 2)):
                self.round()
            if self._rng.random() < 0.5 or self._person_acts(index):
                self.settle_down()
            self._act(index)
        self.settle_down()
        self.start()
        self.settle_down()

    def round(self) -> None:
        """What the engine does at every tick; a session that waits is processed, whether or not its event arrived."""
        self._guarded(lambda: self.live.enforce_states())
        self._guarded(lambda: self.live.close_sessions())
        if self.live.behind_secs:
            self._guarded(lambda: self.live.process())

    def settle_down(self, rounds: int = 2) -> None:
        """Some rounds in which nothing fails."""
        with self._calm():
            for _ in range(rounds):
                self.round()

    def start(self) -> None:
        """Build the process from what is on disk; a start that fails is tried again, as a supervisor does."""
        for _ in range(MAX_STARTS):
            try:
                self.starts += 1
                self._wire()
                self.live.start()
                return
            except (ProcessDied, Unavailable):
                continue
        raise AssertionError(f"{MAX_STARTS} starts failed")

    def violations(self) -> list[str]:
        """See `audit.violations`; and what was sent before it was committed."""
        spec, broker = self.script.spec, self._storage.broker(FaultPlan())
        evidence = Evidence(
            spec=spec,
            pages=self._storage.pages(),
            record=self._storage.ledger().record(spec.name),
            broker=broker,
            sent=self.witness.sent,
            bars=self.script.bars,
            closes=self.script.closes,
        )
        return [*self.unexpected, *self.witness.too_early, *violations(evidence)]

    def decisions(self) -> list[Decision]:
        return self._storage.pages().decisions(self.script.spec.name)

    def orders(self) -> list[Order]:
        """As they ended."""
        return self._storage.pages().orders(self.script.spec.name)

    def difference(self, reference: "Drill") -> tuple[str, bool]:
        """See `audit.difference`."""
        again = None if self.repeated_target is None else self.script.closes[self.repeated_target]
        return difference(self.decisions(), reference.decisions(), self.orders(), reference.orders(), again)

    def close(self) -> None:
        self._storage.close()

    def _wire(self) -> None:
        spec, plan, clock, history = self.script.spec, self.plan, _bar_clock(), BarHistory()
        ledger = faults.faulty_ledger(self.witness.at_ledger(self._storage.ledger()), plan)
        reopen = partial(self._open_broker)
        broker = self._wrap_broker(faults.faulty_broker(reopen(), plan, reopen=reopen))
        table, time = self.script.table
        time.of = clock
        features = StoredFeatures(faults.faulty_features(table, plan))
        controller = self._make_controller(
            spec,
            features=features,
            forecaster=faults.faulty_forecaster(SwayingForecaster(self._signature), plan),
            broker=broker,
            ledger=ledger,
            history=history,
            notifier=self.notifier,
        )
        desk = Desk(
            calendar=spec.universe.calendar,
            history=history,
            features=features,
            listeners=[clock, broker],
            traders=[controller],
            lateness=lateness(clock),
        )
        store = faults.faulty_store(self._store, plan)
        door = Door(
            check=lambda raw, calendar: raw.select(BAR_SCHEMA.names()),
            journal=faults.faulty_journal(self._journal, plan),
            store=store,
            clock=clock,
        )
        self.live = Live(door, Trader(store=store, desks=[desk], ledger=ledger, clock=clock), ledger, clock)

    def _open_broker(self) -> Any:
        return self.witness.at_broker(self._storage.broker(self.plan))

    def _guarded(self, work: Callable[[], object]) -> bool:
        """As the engine guards a round: an error ends this round only, a dead process is started again."""
        try:
            work()
        except ProcessDied:
            self.start()
            return False
        except (Unavailable, NotReconciled) as error:
            self.last_error = f"{error.code}: {error}"
            return False
        except AlphamillError as error:
            self.unexpected.append(f"{error.code}: {error}")
            return False
        return True

    def _post(self, bars: pl.DataFrame) -> None:
        """At once or in two parts, each until it is acknowledged."""
        rows = list(bars.iter_slices(self._rng.choice((len(bars), len(bars), 2))))
        self._rng.shuffle(rows)
        for row in rows:
            while not self._guarded(partial(self.live_accept, row)):
                continue

    def live_accept(self, bars: pl.DataFrame) -> None:
        """At the door of the process that runs now."""
        self.live.accept(bars)

    def _arrive(self, index: int, session: pl.DataFrame) -> None:
        """The bars of a session. Before its last ones come those that were late for the session before."""
        late = self.script.late.get(index - 1)
        if late is not None:
            was_late = pl.col("symbol").is_in(late["symbol"].to_list())
            self._post(session.filter(~was_late))  # the feed has moved on: the session before goes without them
            self.settle_down()
            self._post(late)
            self.round()
            session = session.filter(was_late)
        self._post(session)

    def _person_acts(self, index: int) -> bool:
        return index in self.script.targets or index in self.script.states

    def _act(self, index: int) -> None:
        script = self.script
        if index in script.states:
            state = script.states[index]
            while not self._guarded(lambda: self.live.set_state(script.spec.name, state, "drill")):
                continue
            self.round()
            self.settle_down()
        if index in script.targets:
            self._send_target(index, script.targets[index])

    def _send_target(self, index: int, weights: Mapping[str, float]) -> None:
        """Until it is taken; a person who gets no answer sends it again."""
        for attempt in range(MAX_TRIES):
            with self._calm() if attempt else nullcontext():
                if self._guarded(lambda: self.live.update_target(self.script.spec.name, weights)):
                    break
            self.repeated_target = index
            self.settle_down()
        else:
            if not self.last_error.startswith("NOT_RECONCILED"):  # that heals when the next session settles
                self.unexpected.append(f"the target after session {index} is refused for good: {self.last_error}")
        self.round()

    @contextmanager
    def _calm(self) -> Iterator[None]:
        self.plan.stop()
        try:
            yield
        finally:
            if not self._over:
                self.plan.resume()


def _bar_clock() -> Any:
    from alphamill.adapters.clock.bars import BarClock

    return BarClock()
