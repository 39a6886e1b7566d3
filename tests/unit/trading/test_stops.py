"""Stops that stop: HALTED sends nothing and REDUCING never raises exposure, whichever port fails."""

import contextlib
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import Order
from alphamill.errors import (
    BrokerUnavailable,
    ForecasterUnavailable,
    StoreUnavailable,
)
from alphamill.risk.rule import Rules

HALTED, REDUCING = TradingState.HALTED, TradingState.REDUCING


def _raises(error: Exception) -> Callable[..., Any]:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    return fail


#: Port -> (the object of the system, its method, how it fails).
PORTS: dict[str, tuple[str, str, Exception]] = {
    "forecaster": ("forecaster", "forecast", ForecasterUnavailable("down.")),
    "forecaster, not an error of ours": ("forecaster", "forecast", RuntimeError("segment")),
    "features": ("features", "read", StoreUnavailable("redis is down.")),
    "feature refresh": ("features", "write", StoreUnavailable("redis is down.")),
    "ledger, reading": ("ledger", "record", StoreUnavailable("locked.")),
    "ledger, deciding": ("ledger", "commit", StoreUnavailable("disk is full.")),
    "ledger, settling": ("ledger", "settle", StoreUnavailable("disk is full.")),
    "ledger, state": ("ledger", "set_state", StoreUnavailable("locked.")),
    "notifier": ("notifier", "notify", RuntimeError("no network")),
    "journal": ("journal", "pending", StoreUnavailable("locked.")),
    "journal, marking": ("journal", "mark_merged", StoreUnavailable("locked.")),
    "bars": ("store", "read", StoreUnavailable("no bucket.")),
    "bars, following": ("store", "changes", StoreUnavailable("no bucket.")),
    "bars, merging": ("store", "append", StoreUnavailable("no bucket.")),
    "broker, all": ("broker", "order", BrokerUnavailable("down.")),
    "broker, account": ("broker", "account", BrokerUnavailable("down.")),
    "broker, events": ("broker", "events", BrokerUnavailable("down.")),
    "broker, cancelling": ("broker", "cancel", BrokerUnavailable("down.")),
}
#: Code between the ports that can fail: where it is looked up.
CODE: dict[str, tuple[str, Exception]] = {
    "NAV": ("alphamill.execution.account.Account.nav", ZeroDivisionError("nav")),
    "risk context": ("alphamill.trading.portfolio_trader.risk_context", KeyError("peak")),
    "drawdown": ("alphamill.trading.portfolio_trader.next_state", ArithmeticError("drawdown")),
    "sizing": ("alphamill.trading.plan.target_weights", FloatingPointError("singular")),
    "lateness": ("alphamill.trading.lateness.next_open", KeyError("calendar")),
}
FAILURES = [*PORTS, *CODE, "own rule"]


class _RaisingRule:
    name = "raising"

    def apply(self, context: object, weights: object) -> Any:
        raise ZeroDivisionError("a rule of one's own")


@pytest.fixture
def break_it(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], None]:
    def apply(system: Any, what: str) -> None:
        if what in PORTS:
            part, method, error = PORTS[what]
            monkeypatch.setattr(getattr(system, part), method, _raises(error))
        elif what in CODE:
            where, error = CODE[what]
            monkeypatch.setattr(where, _raises(error))
        else:
            controller = system.live.controller("demo")
            rules = controller._rules
            monkeypatch.setattr(controller, "_rules", Rules((_RaisingRule(), *rules.targets), rules.orders))  # type: ignore[arg-type]

    return apply


class _Sent:
    """Every order that reaches the broker from now on."""

    def __init__(self, system: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.orders: list[Order] = []
        submit = system.broker.submit

        def watched(order: Order) -> Order:
            self.orders.append(order)
            return submit(order)  # type: ignore[no-any-return]

        monkeypatch.setattr(system.broker, "submit", watched)


def _tick(system: Any) -> None:
    """One round of the engine: nothing that fails keeps the next step from being tried."""
    for step in (system.live.enforce_states, system.live.close_sessions, system.live.process):
        try:
            step()
        except Exception:  # the engine logs and counts it
            continue


def _post(system: Any, session: Any) -> None:
    with contextlib.suppress(Exception):  # the sender is told, and sends again
        system.post(session)


def _held(system: Any) -> dict[str, Decimal]:
    """What the broker holds: the truth, also when the ledger cannot be read."""
    account = system.broker._books.accounts["demo"]
    return {symbol: position.quantity for symbol, position in account.positions.items()}


def _wants_the_opposite(system: Any) -> None:
    """A forecast that would buy what is not held and sell what is."""
    system.forecaster._mean = {"SYN000": -0.03, "SYN001": 0.05, "SYN002": 0.05}


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("failure", FAILURES)
def test_halted_sends_nothing_whatever_fails(
    system, make_live, parts, break_it, monkeypatch: pytest.MonkeyPatch, failure: str, when: str
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    _wants_the_opposite(system)
    system.ledger.set_state("demo", HALTED, "drill", dt.datetime.now(dt.UTC))  # as the command line does
    sent = _Sent(system, monkeypatch)
    if when == "before":
        break_it(system, failure)
        _tick(system)
    _post(system, system.ahead[2])
    if when == "during":
        system.live.close_sessions()
        break_it(system, failure)
    for _ in range(3):
        _tick(system)
    assert sent.orders == []
    monkeypatch.undo()
    sent = _Sent(system, monkeypatch)
    system.live = make_live(parts)  # a new process over the same books, and everything works again
    for session in system.ahead[2:5]:
        system.run(session)
    assert sent.orders == []
    assert [r.code for r in system.last_decision().refusals] == ["HALTED"]
    assert system.ledger.record(system.spec.name).state is HALTED


@pytest.mark.parametrize("when", ["before", "during"])
@pytest.mark.parametrize("failure", FAILURES)
def test_reducing_never_raises_exposure_whatever_fails(
    system, make_live, parts, break_it, monkeypatch: pytest.MonkeyPatch, failure: str, when: str
) -> None:
    for session in system.ahead[:2]:
        system.run(session)
    _wants_the_opposite(system)
    system.live.set_state("demo", REDUCING, "drill")
    # What the broker has accepted before is called back now. A broker that cannot be reached then may still fill it:
    # no state of ours can change that.
    system.live.enforce_states()
    held = _held(system)

    def falls() -> None:
        nonlocal held
        now = _held(system)
        assert all(abs(quantity) <= abs(held.get(symbol, Decimal(0))) for symbol, quantity in now.items())
        held = now

    if when == "before":
        break_it(system, failure)
        _tick(system)
    for session in system.ahead[2:4]:
        _post(system, session)
        if when == "during":
            _tick(system)
            break_it(system, failure)
        for _ in range(3):
            _tick(system)
        falls()
    monkeypatch.undo()
    system.live = make_live(parts)
    for session in system.ahead[2:7]:
        system.run(session)
        falls()
    assert system.ledger.record(system.spec.name).state is REDUCING
    assert held.get("SYN000", Decimal(0)) == 0  # it did trade: what should be sold was sold


def test_a_halt_set_while_everything_is_down_is_obeyed_when_it_comes_back(
    system, make_live, parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.run(system.ahead[0])
    assert system.ledger.record(system.spec.name).open_orders
    with monkeypatch.context() as broken:
        for method in ("order", "cancel", "submit", "account", "events"):
            broken.setattr(system.broker, method, _raises(BrokerUnavailable("down.")))
        system.features.available = False
        system.forecaster.fail()
        system.ledger.set_state("demo", HALTED, "drill", dt.datetime.now(dt.UTC))
        live = make_live(parts)  # the start goes through, and sends nothing
        assert live.records()[0].state is HALTED
    system.features.available = True
    system.forecaster.recover()
    live.enforce_states()
    assert system.ledger.record(system.spec.name).open_orders == ()
    assert all(o.status.is_final for o in system.broker._books.orders.values())
