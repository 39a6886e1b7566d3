"""Exactly once: a thousand seeded schedules of faults, a crash at every step, and broken systems that are caught."""

import datetime as dt
import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import structlog
from drill.drill import Drill
from drill.script import Script
from drill.storage import FileStorage, MemoryStorage, make_template

from alphamill.domain.decisions import TradingState
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.orders import Order, OrderStatus, order_id
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, RiskLimits, Sizing, Universe
from alphamill.errors import Unavailable
from alphamill.execution import collect
from alphamill.features import MODEL_FEATURES, compute
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.testing.broker import fills_at
from alphamill.testing.faults import CRASHES, LISTS, Fault, FaultPlan, at_step, seeded
from alphamill.trading.portfolio_trader import PortfolioTrader

SYMBOLS = ("SYN000", "SYN001", "SYN002")
SIGNATURE = ModelSignature("forecaster", "1", tuple(MODEL_FEATURES), 5, "bars@0", "run-1", "paper")
HISTORY, SESSIONS = 80, 5
SPLIT, DIVIDEND = 2, 3
PRICES = ("open", "high", "low", "close")

SCHEDULES, CHUNK = 1_000, 100
#: What the broker answers twice, late or in another order, and its own restarts.
ANSWERS = (*LISTS, Fault.DOUBLED_CALL, Fault.RESTART)
#: Seed modulo 4 -> how often a step fails, and how.
KINDS: list[tuple[float, tuple[Fault, ...]]] = [
    (0.02, tuple(Fault)),
    (0.08, tuple(Fault)),
    (0.04, CRASHES),
    (0.25, ANSWERS),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A thousand runs of failures would log a hundred thousand lines."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


def _sessions() -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """History, and sessions ahead with a 2:1 split of SYN000 and a dividend of SYN001, orders open for both."""
    frames = (
        synthetic_market(3, HISTORY + SESSIONS, seed=7).sort("ts", "symbol").partition_by("ts", maintain_order=True)
    )
    split, dividend = pl.col("symbol") == "SYN000", pl.col("symbol") == "SYN001"
    ahead = []
    for number, frame in enumerate(frames[HISTORY:]):
        if number >= SPLIT:
            frame = frame.with_columns(
                pl.when(split).then(pl.col(name) / 2).otherwise(name).alias(name) for name in PRICES
            )
        if number == SPLIT:
            halved = pl.when(split).then(0.5).otherwise(1.0)
            frame = frame.with_columns(price_factor=halved, split_factor=halved)
        if number == DIVIDEND:
            frame = frame.with_columns(price_factor=pl.when(dividend).then(0.99).otherwise(1.0))
        ahead.append(frame)
    return pl.concat(frames[:HISTORY]), ahead


def _script(spec: PortfolioSpec, *, sessions: int = SESSIONS, late: bool = False, **acts: Any) -> Script:
    history, ahead = _sessions()
    ahead, missing = ahead[:sessions], {}
    if late:
        for number, symbol in ((SPLIT, "SYN000"), (DIVIDEND, "SYN001")):
            of_symbol = pl.col("symbol") == symbol
            missing[number] = ahead[number].filter(of_symbol)
            ahead[number] = ahead[number].filter(~of_symbol)
    rows = compute(pl.concat([history, *ahead, *missing.values()]).sort("symbol", "ts"))
    return Script(spec, history, rows.select("symbol", "ts", *MODEL_FEATURES), ahead, late=missing, **acts)


def _spec(**changes: Any) -> PortfolioSpec:
    sizing = Sizing(method="top_k", top_k=2, covariance_bars=40, max_weight=0.5)
    return PortfolioSpec(name="demo", universe=Universe(symbols=SYMBOLS), sizing=sizing, **changes)


def _calm(script: Script) -> Drill:
    """The run of a script in which nothing fails."""
    drill = Drill(script, MemoryStorage(script.spec), FaultPlan(), signature=SIGNATURE)
    drill.run()
    return drill


@pytest.fixture(scope="module")
def references() -> dict[str, Drill]:
    """By what happens in them; each run without faults."""
    sized = Sizing(covariance_bars=40, max_weight=0.5)
    capped = BrokerRef(max_participation_pct=0.01)
    states = {0: TradingState.HALTED, 2: TradingState.ACTIVE, 3: TradingState.REDUCING}
    scripts = {
        "a split and a dividend": _script(_spec(), sessions=4),
        "mean variance": _script(_spec().model_copy(update={"sizing": sized})),
        "late bars": _script(_spec(), late=True),
        "a manual target": _script(_spec(), targets={1: {"SYN000": 0.3, "SYN002": 0.4}}),
        "halt, resume, reduce": _script(_spec(), states=states),
        "partial fills": _script(_spec(broker=capped, risk=RiskLimits(max_volume_pct=100))),
    }
    return {name: _calm(script) for name, script in scripts.items()}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where the machine has such a folder: files of SQLite, without the disk."""
    shared = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def storage(folder: Path) -> Iterator[Callable[[PortfolioSpec, int], FileStorage | MemoryStorage]]:
    """One schedule in four on SQLite files; one in fifty opens every connection anew at every start."""
    template = make_template(_spec(), folder / "template")
    kept = FileStorage(_spec(), folder / "kept", template=template, reopen=False)

    def make(spec: PortfolioSpec, seed: int) -> FileStorage | MemoryStorage:
        if seed % 50 == 0:
            return FileStorage(spec, folder / str(seed), template=template)
        if seed // 4 % 4:
            return MemoryStorage(spec)
        kept.clear()
        kept.spec = spec
        return kept

    yield make
    kept.close()


def test_the_reference_runs_have_orders_open_at_a_split_and_are_themselves_in_order(references) -> None:
    for name, drill in references.items():
        assert drill.violations() == [], name
        split_at = drill.script.closes[SPLIT - 1]
        open_then = {order.symbol for order in drill.orders() if order.decided_at == split_at}
        assert open_then or "halt" in name, name
        if name not in ("mean variance", "halt, resume, reduce"):
            assert "SYN000" in open_then, name
    pages = references["partial fills"]._storage.pages()
    parts = Counter(fill.order_id for fill in pages.fills("demo"))
    cut = [order for order in pages.orders("demo") if 0 < order.filled_quantity < order.quantity]
    assert cut or max(parts.values()) > 1


@pytest.mark.parametrize("first", range(0, SCHEDULES, CHUNK))
def test_schedules_of_faults_end_with_every_order_once_and_every_cent_in_place(first: int, references, storage) -> None:
    fired: Counter[Fault] = Counter()
    equal = 0
    names = list(references)
    for seed in range(first, first + CHUNK):
        reference = references[names[seed // 4 % len(names)]]
        rate, kinds = KINDS[seed % 4]
        plan = FaultPlan(seeded(seed, rate=rate, kinds=kinds, at_most=10))
        drill = Drill(reference.script, storage(reference.script.spec, seed), plan, signature=SIGNATURE, seed=seed)
        drill.run()
        assert drill.violations() == [], seed
        where, explained = drill.difference(reference)
        assert explained, (seed, where)
        if kinds is CRASHES and drill.repeated_target is None:
            assert not where, (seed, where)  # a crash alone costs no session and no order
        equal += not where
        for (_, fault), count in plan.fired.items():
            fired[fault] += count
    told = ", ".join(f"{fault.value} {fired[fault]}" for fault in Fault)
    sys.stdout.write(f"{CHUNK} schedules, {equal} end as if nothing had failed. Faults: {told}\n")  # shown by -rP
    assert set(fired) == set(Fault)
    assert equal > CHUNK * 0.6


@pytest.mark.parametrize("fault", CRASHES)
def test_a_crash_at_any_single_step_changes_nothing_that_is_traded(fault: Fault, references) -> None:
    reference = references["a split and a dividend"]
    tried = 0
    for step, (label, possible) in enumerate(reference.plan.steps, start=1):
        # After a step that writes nothing is the same moment as before the next one.
        if fault not in possible or (fault is Fault.CRASH_AFTER and Fault.LOST_ANSWER not in possible):
            continue
        plan = FaultPlan(at_step(step, fault))
        drill = Drill(reference.script, MemoryStorage(reference.script.spec), plan, signature=SIGNATURE)
        drill.run()
        assert drill.violations() == [], (step, label)
        assert drill.difference(reference) == ("", True), (step, label)
        tried += plan.fired.total()
    assert tried > (100 if fault is Fault.CRASH_BEFORE else 30)  # the last session's steps are calm


class _Passing:
    """A part that passes everything on; the broken ones below change one method each."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class _NewIdAtEachTry(_Passing):
    """A broker adapter that makes an order of its own when the first try was not answered."""

    def submit(self, order: Order) -> Order:
        try:
            return self._port.submit(order)  # type: ignore[no-any-return]
        except Unavailable:
            at = order.decided_at + dt.timedelta(microseconds=1)
            new = order_id(order.portfolio, at, order.symbol, order.side, order.quantity)
            self._port.submit(replace(order, id=new, decided_at=at))
            raise


class _SendsFirst(_Passing):
    """A ledger in front of which orders go out before they are committed."""

    def __init__(self, ledger: Any, broker: Any) -> None:
        super().__init__(ledger)
        self._broker = broker

    def commit(self, decision: Any, *, token: int | None = None) -> None:
        for order in decision.orders:
            self._broker.submit(order)
        self._port.commit(decision, token=token)


class _ForgetsPending(_Passing):
    """A ledger that does not tell of orders that were committed and not yet sent."""

    def record(self, portfolio: str) -> Any:
        record = self._port.record(portfolio)
        return replace(record, open_orders=tuple(o for o in record.open_orders if o.status is not OrderStatus.PENDING))


class _HalfSettles(_Passing):
    """A ledger whose settlement is two transactions."""

    def settle(self, settlement: Any, *, token: int | None = None) -> None:
        if settlement.fills:
            self._port.settle(replace(settlement, fills=(), orders=(), nav=None))
            settlement = replace(settlement, revision=settlement.revision + 1)
        self._port.settle(settlement)


def _with_ledger(make: Callable[[Any, Any], Any]) -> Callable[..., PortfolioTrader]:
    def controller(spec: PortfolioSpec, **parts: Any) -> PortfolioTrader:
        return PortfolioTrader(spec, **{**parts, "ledger": make(parts["ledger"], parts["broker"])})

    return controller


def _books_every_fill_again(record: Any, broker: Any, *args: Any, **kwargs: Any) -> Any:
    orders, _ = collect(record, broker, *args, **kwargs)
    return orders, fills_at(broker, record.name)


CONTROLS: dict[str, dict[str, Any]] = {
    "sends again under a new id": {"wrap_broker": _NewIdAtEachTry},
    "sends before it commits": {"make_controller": _with_ledger(_SendsFirst)},
    "forgets what it committed": {"make_controller": _with_ledger(lambda ledger, broker: _ForgetsPending(ledger))},
    "settles in two transactions": {"make_controller": _with_ledger(lambda ledger, broker: _HalfSettles(ledger))},
    "books every fill again": {},
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_system_that_breaks_the_promise_is_caught(control: str, references, monkeypatch: pytest.MonkeyPatch) -> None:
    if control == "books every fill again":
        monkeypatch.setattr("alphamill.trading.books.collect", _books_every_fill_again)
    reference = references["a split and a dividend"]
    kinds = (*CRASHES, Fault.TIMEOUT, Fault.LOST_ANSWER)
    plans = [FaultPlan(seeded(seed, rate=0.05, kinds=kinds, at_most=10)) for seed in range(40)]
    plans += [FaultPlan(at_step(step, Fault.CRASH_AFTER)) for step in range(1, len(reference.plan.steps))]
    for seed, plan in enumerate(plans):
        storage = MemoryStorage(reference.script.spec)
        drill = Drill(reference.script, storage, plan, signature=SIGNATURE, seed=seed, **CONTROLS[control])
        drill.run()
        if drill.violations() or not drill.difference(reference)[1]:
            return
    pytest.fail(f"a system that {control} passes")
