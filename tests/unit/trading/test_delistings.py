"""A symbol that stops trading: nothing changes before, cash after, and nobody waits for its bars."""

from dataclasses import replace
from decimal import Decimal

import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.orders import OrderStatus, Side
from alphamill.domain.portfolios import Universe
from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.features.history import BarHistory
from alphamill.testing.broker import cash_at, positions_at
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.testing.script import Bar, Script, play
from alphamill.trading.delistings import Delistings
from alphamill.trading.market import market_at
from alphamill.trading.portfolio_trader import PortfolioTrader

D = Decimal
#: A closes at 120 and 130, the last time on Thursday, 7 March; B goes on.
A = [Bar(100, 100), Bar(100, 100), Bar(100, 120), Bar(120, 130)]
BARS = {"A": A, "B": [Bar(50, 50)] * 7}
LAST = "2024-03-07"


def gone(cash: str | None = None) -> dict[str, object]:
    return {"delistings": {"A": {"last_session": LAST, "cash_per_share_usd": cash}}}


@pytest.mark.parametrize(
    ("weight", "cash", "after"),
    [
        (0.4, None, 112_000),  # 400 at 100 leave 60,000; 400 * 130 = 52,000
        (0.4, "10.50", 64_200),  # 400 * 10.50 = 4,200
        (-0.4, None, 88_000),  # 140,000 less 52,000
        (-0.4, "10.50", 135_800),  # 140,000 less 4,200
        (-0.4, "0", 140_000),
    ],
)
def test_a_position_is_paid_out_in_the_first_session_after_the_last(
    weight: float, cash: str | None, after: int
) -> None:
    played = play(Script(BARS, {1: {"A": weight}}, universe=gone(cash)))
    before = 100_000 + (400 if weight > 0 else -400) * 30
    assert played.nav_usd[3:] == [D(before), D(after), D(after), D(after)]
    assert (played.record.cash_usd, played.record.positions) == (D(after), {})
    assert len(played.fills) == 1


def test_before_the_end_of_the_last_session_nothing_changes() -> None:
    with_it = play(Script(BARS, {1: {"A": 0.4}, 2: {"A": 0.2}}, universe=gone("10.50")))
    without = play(Script(BARS, {1: {"A": 0.4}, 2: {"A": 0.2}}))
    last = with_it.script.closes[3]

    def known(played):  # type: ignore[no-untyped-def]
        fills = [f for f in played.fills if f.filled_at <= last]
        return [d for d in played.decisions if d.decided_at <= last], fills, played.nav_usd[:4]

    assert known(with_it) == known(without)
    assert with_it.nav_usd[4] != without.nav_usd[4]


def test_an_order_decided_at_the_last_close_is_cancelled_with_the_reason() -> None:
    played = play(Script(BARS, {3: {"A": 0.4}}, universe=gone()))
    assert [(o.side, o.status, o.detail) for o in played.orders] == [
        (Side.BUY, OrderStatus.CANCELLED, f"A is delisted: its last session was {LAST}")
    ]
    assert played.nav_usd == [D(100_000)] * 7


def test_the_remainder_of_a_capped_order_is_cancelled_when_its_symbol_is_gone() -> None:
    """400 wanted, 100 a session can trade: 100 at 100 and 100 at 120 until the last close, 130.

    100,000 - 10,000 - 12,000 + 200 * 130 = 104,000.
    """
    bars = {"A": [bar._replace(volume=1000) for bar in A], "B": BARS["B"]}
    capped = {"max_participation_pct": 10}
    played = play(Script(bars, {1: {"A": 0.4}}, universe=gone(), broker=capped, every_bars=10))
    assert [(f.quantity, f.price) for f in played.fills] == [(D(100), D(100)), (D(100), D(120))]
    assert [(o.status, o.filled_quantity) for o in played.orders] == [(OrderStatus.CANCELLED, D(200))]
    assert played.orders[0].detail.startswith("A is delisted")
    assert played.nav_usd[3:] == [D(104_000)] * 4


def test_after_its_last_session_a_symbol_is_refused_by_name_and_as_a_target() -> None:
    played = play(Script(BARS, {1: {"A": 0.4}}, universe=gone()))
    refused = [{r.symbol: r.code for r in d.refusals}.get("A") for d in played.decisions if d.source == "model"]
    assert refused == ["SHORT_HISTORY"] * 3 + ["DELISTED"] * 3
    with pytest.raises(DataUnfit, match="A is delisted"):
        play(Script(BARS, {5: {"A": 0.4}}, universe=gone()))


def test_a_bar_under_the_same_name_in_the_session_that_pays_out_is_not_its_last_close() -> None:
    bars = {"A": [*A, Bar(500, 500), Bar(500, 500)], "B": BARS["B"]}
    played = play(Script(bars, {1: {"A": 0.4}}, universe=gone()))
    assert played.nav_usd[4:] == [D(112_000)] * 3


def test_a_last_session_on_a_day_without_trading_is_the_session_before() -> None:
    """9 and 10 March 2024 are a weekend: the symbol trades until Friday's close."""
    friday = {"A": {"last_session": "2024-03-10"}}
    delistings = Delistings(Universe(symbols=("A",), delistings=friday))
    closes = play(Script({"A": A}, {})).script
    monday = replace(closes, bars={"A": [Bar(1, 1)] * 6}).closes[5]
    assert delistings.gone(monday) == {"A"}
    assert delistings.gone(replace(closes, bars={"A": [Bar(1, 1)] * 6}).closes[4]) == frozenset()


@pytest.mark.parametrize("day", ["1901-01-02", "2999-01-02"])
def test_a_last_session_that_the_calendar_does_not_reach_is_refused(day: str) -> None:
    with pytest.raises(InvalidConfig, match=f"{day} is outside of calendar 'XNYS'"):
        Delistings(Universe.model_validate({"symbols": ["A"], "delistings": {"A": {"last_session": day}}}))


class Killed(BaseException):
    """The process is gone."""


def test_a_process_killed_between_broker_and_ledger_pays_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(BARS, {1: {"A": 0.4}}, universe=gone())
    spec, ledger, notifier = script.spec, InMemoryLedger(), InMemoryNotifier()
    broker = PaperBroker(
        spec.broker, initial_cash={spec.name: spec.initial_cash_usd}, delistings=spec.universe.delistings
    )

    def started(sessions: int) -> tuple[PortfolioTrader, BarHistory]:
        history = BarHistory()
        for known in frames[:sessions]:
            history.append(known)
        parts = {"features": None, "forecaster": None, "broker": broker, "ledger": ledger, "notifier": notifier}
        return PortfolioTrader(spec, history=history, **parts), history  # type: ignore[arg-type]

    def market(controller: PortfolioTrader, history: BarHistory, number: int):  # type: ignore[no-untyped-def]
        return market_at(history, controller.symbols, script.closes[number], "script")

    frames = script.frame.partition_by("ts", maintain_order=True)
    controller, history = started(2)
    controller.open(market(controller, history, 1))
    controller.update_target({"A": 0.4}, market(controller, history, 1))
    for number in (2, 3):
        history.append(frames[number])
        broker.on_bars(frames[number])
        controller._settle(ledger.record(spec.name), market(controller, history, number))
    history.append(frames[4])
    broker.on_bars(frames[4])
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "settle", lambda settlement, token: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            controller._settle(ledger.record(spec.name), market(controller, history, 4))
    assert positions_at(broker, spec.name) == []
    assert ledger.record(spec.name).positions["A"].quantity == 400
    again, history = started(5)
    broker.on_bars(frames[4])
    record = again._settle(ledger.record(spec.name), market(again, history, 4))
    assert (record.cash_usd, record.positions) == (D(112_000), {})
    assert cash_at(broker, spec.name) == D(112_000)
    assert notifier.sent == [
        ("script: A is delisted", "The position of 400 shares was settled in cash, as universe.delistings says.")
    ]
