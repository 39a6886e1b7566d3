"""Faults at the doors of the library: a proxy around any port that fails when a seeded plan says so.

Every call through a door is one numbered step of its plan. The plan says for each step whether it goes well, and if
not, how it fails. The same seed and the same calls give the same faults. To try a broker of your own::

    plan = FaultPlan(seeded(7, rate=0.05))
    broker = faulty_broker(MyBroker(...), plan)
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

from alphamill.errors import BrokerUnavailable, ForecasterUnavailable, StoreUnavailable, Unavailable

Port = TypeVar("Port")


class Fault(StrEnum):
    """How one call goes wrong."""

    #: The process ends before the call does anything.
    CRASH_BEFORE = "crash before"
    #: The process ends after the call's effect, before its caller learns of it.
    CRASH_AFTER = "crash after"
    #: Nothing happens, and the caller is told that the other side does not answer.
    TIMEOUT = "timeout"
    #: It happens, and the caller is told that the other side does not answer.
    LOST_ANSWER = "lost answer"
    #: It is done twice, as when a network sends a message again; the second answer is given.
    DOUBLED_CALL = "doubled call"
    #: Every item of the answer is there twice, and older ones that were not asked for.
    DOUBLED_ANSWER = "doubled answer"
    #: The items of the answer come in the wrong order.
    DISORDER = "disorder"
    #: The first item of the answer is not there yet, though later ones are.
    DELAYED_ITEM = "delayed item"
    #: The other side starts again from what it had written down.
    RESTART = "restart"
    #: This call and the next ones through the same door time out.
    OUTAGE = "outage"


class ProcessDied(BaseException):
    """Stands for kill -9 at the line that raises it: no `except Exception` sees it, and nothing is tidied up.

    Whoever catches it drops every object of the process and builds new ones from what is on disk.
    """


#: (number of the step, its label such as "broker.submit", the faults it can have) -> one of them, or None.
Choice = Callable[[int, str, Sequence[Fault]], Fault | None]

CRASHES: Final = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
WRITES: Final = (*CRASHES, Fault.TIMEOUT, Fault.LOST_ANSWER)
READS: Final = (*CRASHES, Fault.TIMEOUT, Fault.OUTAGE)
LISTS: Final = (Fault.DOUBLED_ANSWER, Fault.DISORDER, Fault.DELAYED_ITEM)


def never(number: int, label: str, possible: Sequence[Fault]) -> Fault | None:
    """A plan under which everything goes well: it counts the steps."""
    return None


def seeded(seed: int, *, rate: float, kinds: Sequence[Fault] = tuple(Fault), at_most: int = 1_000) -> Choice:
    """Each step fails with probability `rate`, in one of the `kinds` it can have, `at_most` so many in all."""
    rng, left = random.Random(seed), [at_most]

    def choose(number: int, label: str, possible: Sequence[Fault]) -> Fault | None:
        candidates = [fault for fault in possible if fault in kinds]
        if not left[0] or not candidates or rng.random() >= rate:
            return None
        left[0] -= 1
        return rng.choice(candidates)

    return choose


def at_step(step: int, fault: Fault) -> Choice:
    """One fault, at the step of that number; a step that cannot have it goes well."""

    def choose(number: int, label: str, possible: Sequence[Fault]) -> Fault | None:
        return fault if number == step and fault in possible else None

    return choose


class FaultPlan:
    """Which call fails how, over all doors of one system.

    Parameters
    ----------
    choose
        Asked once a step; see `seeded` and `at_step`.
    outage_calls
        How many calls through a door time out after the one that began an outage.

    Attributes
    ----------
    steps
        Label and possible faults of every call so far, in order.
    fired
        How often each (label, fault) happened.
    """

    def __init__(self, choose: Choice = never, *, outage_calls: int = 3) -> None:
        self._choose = choose
        self._outage_calls = outage_calls
        self._out: Counter[str] = Counter()
        self._stopped = False
        self.steps: list[tuple[str, tuple[Fault, ...]]] = []
        self.fired: Counter[tuple[str, Fault]] = Counter()

    def next(self, door: str, method: str, possible: Sequence[Fault]) -> Fault | None:
        """The fate of the next call through `door`."""
        label = f"{door}.{method}"
        self.steps.append((label, tuple(possible)))
        if self._stopped:
            return None
        if self._out[door]:
            self._out[door] -= 1
            fault: Fault | None = Fault.TIMEOUT
        else:
            fault = self._choose(len(self.steps), label, possible)
            if fault is Fault.OUTAGE:
                self._out[door] = self._outage_calls
        if fault is not None:
            self.fired[label, fault] += 1
        return fault

    def stop(self) -> None:
        """From now on every call goes well; outages end."""
        self._stopped = True

    def resume(self) -> None:
        """Faults go on after a `stop`."""
        self._stopped = False


class FaultyPort:
    """Any port, with faults in the methods named; everything else passes through.

    Parameters
    ----------
    port
        The real thing.
    faults
        Method -> the faults it can have.
    unavailable
        What a caller sees when there is no answer.
    reopen
        Gives the port anew from what it had written down, for `Fault.RESTART`.
    """

    def __init__(
        self,
        port: Any,
        plan: FaultPlan,
        door: str,
        *,
        faults: Mapping[str, Sequence[Fault]],
        unavailable: type[Unavailable],
        reopen: Callable[[], Any] | None = None,
    ) -> None:
        self.port = port
        self._plan, self._door, self._faults = plan, door, faults
        self._unavailable, self._reopen = unavailable, reopen

    def __getattr__(self, name: str) -> Any:
        if name not in self._faults:
            return getattr(self.port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, args, kwargs)

        return call

    def _call(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        possible = [f for f in self._faults[method] if f is not Fault.RESTART or self._reopen is not None]
        fault = self._plan.next(self._door, method, possible)
        if fault is Fault.CRASH_BEFORE:
            raise ProcessDied(f"before {self._door}.{method}")
        if fault in (Fault.TIMEOUT, Fault.OUTAGE):
            raise self._unavailable(f"{self._door}.{method} was not answered.", remedy="Ask again.")
        if fault is Fault.RESTART and self._reopen is not None:
            self.port = self._reopen()
        answer = getattr(self.port, method)(*args, **kwargs)
        if fault is Fault.CRASH_AFTER:
            raise ProcessDied(f"after {self._door}.{method}")
        if fault is Fault.LOST_ANSWER:
            raise self._unavailable(f"the answer of {self._door}.{method} was lost.", remedy="Ask again.")
        if fault is Fault.DOUBLED_CALL:
            return getattr(self.port, method)(*args, **kwargs)
        return self._disturbed(fault, args, answer)

    def _disturbed(self, fault: Fault | None, args: tuple[Any, ...], answer: Any) -> Any:
        """The answer with the faults of a list in it; only doors that answer lists have them."""
        return answer


def faulty_broker(broker: Port, plan: FaultPlan, *, reopen: Callable[[], Port] | None = None) -> Port:
    """A `Broker` (and `BarListener`, if it is one) that fails by `plan`."""
    sends = (*WRITES, Fault.DOUBLED_CALL, Fault.OUTAGE, Fault.RESTART)
    asks = (*READS, Fault.RESTART)
    faults = {
        "submit": sends,
        "cancel": sends,
        "order": asks,
        "account": asks,
        "events": (*asks, *LISTS),
        "on_bars": (*CRASHES, Fault.DOUBLED_CALL, Fault.RESTART),
    }
    return cast(Port, _Broker(broker, plan, "broker", faults=faults, unavailable=BrokerUnavailable, reopen=reopen))


class _Broker(FaultyPort):
    """Disturbs what `events` tells of fills. The older ones of a doubled answer are those before the cursor."""

    def _disturbed(self, fault: Fault | None, args: tuple[Any, ...], answer: Any) -> Any:
        if fault is Fault.DOUBLED_ANSWER:
            fills = tuple(fill for fill in self.port.events(args[0]).fills for _ in range(2))
        elif fault is Fault.DISORDER:
            fills = tuple(reversed(answer.fills))
        elif fault is Fault.DELAYED_ITEM:
            fills = answer.fills[1:]
        else:
            return answer
        return replace(answer, fills=fills)


def faulty_ledger(ledger: Port, plan: FaultPlan) -> Port:
    """A `Ledger` that fails by `plan`: before and after each commit, and when it is read."""
    faults = {"commit": WRITES, "settle": WRITES, "set_state": WRITES, "record": READS, "trail": READS}
    return cast(Port, FaultyPort(ledger, plan, "ledger", faults=faults, unavailable=StoreUnavailable))


def faulty_journal(journal: Port, plan: FaultPlan) -> Port:
    """A `BarJournal` that fails by `plan`."""
    faults = {"append": (*WRITES, Fault.DOUBLED_CALL), "mark_merged": WRITES, "pending": READS}
    return cast(Port, FaultyPort(journal, plan, "journal", faults=faults, unavailable=StoreUnavailable))


def faulty_store(store: Port, plan: FaultPlan) -> Port:
    """A `BarStore` that fails by `plan`."""
    faults = {"append": (*WRITES, Fault.DOUBLED_CALL), "read": READS, "version": READS}
    return cast(Port, FaultyPort(store, plan, "bars", faults=faults, unavailable=StoreUnavailable))


def faulty_books(books: Port, plan: FaultPlan) -> Port:
    """A store of the paper broker's events that fails by `plan`: around the broker's own commits."""
    return cast(
        Port, FaultyPort(books, plan, "books", faults={"append": WRITES, "read": READS}, unavailable=StoreUnavailable)
    )


def faulty_features(features: Port, plan: FaultPlan) -> Port:
    """`OnlineFeatures` that fail by `plan`."""
    faults = {"read": READS, "write": WRITES}
    return cast(Port, FaultyPort(features, plan, "features", faults=faults, unavailable=StoreUnavailable))


def faulty_forecaster(forecaster: Port, plan: FaultPlan) -> Port:
    """A `Forecaster` that fails by `plan`."""
    faults = {"signature": READS, "forecast": READS}
    return cast(Port, FaultyPort(forecaster, plan, "forecaster", faults=faults, unavailable=ForecasterUnavailable))
