"""What a session that the schedule skips still does: it closes what an exit rule trips, and nothing else."""

from dataclasses import replace
from decimal import Decimal

import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.decisions import Decision, TradingState, Verdict
from alphamill.domain.orders import OrderStatus, Position, Side
from alphamill.domain.portfolios import PortfolioSpec, RiskLimits, Schedule, Sizing, Universe
from alphamill.features.history import BarHistory
from alphamill.testing.broker import FakeBroker
from alphamill.testing.notifier import InMemoryNotifier
from alphamill.testing.orders import close_of
from alphamill.testing.script import Bar, Played, Script, play
from alphamill.trading.market import Action, Market
from alphamill.trading.portfolio_trader import PortfolioTrader

D = Decimal
#: Bars 1 to 8 are skipped: bar 9 is the tenth.
SKIPS = {"every_bars": 10}


def flat(*closes: float) -> list[Bar]:
    return [Bar(close, close) for close in closes]


def refusals(played: Played) -> list[list[str]]:
    return [[r.code for r in d.refusals] for d in played.decisions if d.source == "model"]


def test_a_trailing_stop_trips_on_a_session_that_the_schedule_skips() -> None:
    """100,000 USD, 40 % of it: 400 shares at 100. Best close 130, 117 is 10 % below it. The gap fills at 105."""
    bars = [Bar(100, 100), Bar(100, 100), Bar(100, 130), Bar(125, 117), Bar(105, 110), Bar(110, 110)]
    played = play(Script({"A": bars}, {1: {"A": 0.4}}, risk={"trailing_stop_pct": 10}, **SKIPS))
    assert [(played.bar_of(f), f.side, f.quantity, f.price) for f in played.fills] == [
        (2, Side.BUY, D(400), D(100)),
        (4, Side.SELL, D(400), D(105)),
    ]
    assert played.nav_usd == [D(100_000), D(100_000), D(112_000), D(106_800), D(102_000), D(102_000)]
    closing = next(d for d in played.decisions if d.orders and d.source == "model")
    assert [r.code for r in closing.refusals] == ["NOT_SCHEDULED"]
    assert (closing.snapshots, closing.forecasts, closing.model_version) == ((), (), "")
    assert [(r.rule, r.code) for r in closing.rules if r.verdict is Verdict.SHRINK] == [
        ("trailing_stop", "TRAILING_STOP")
    ]
    assert closing.orders[0].reason == (
        "target 0.00 from 0.44, trailing_stop: 117.0 is 10.00 % worse than the best close 130.0 (limit 10 %); target 0"
    )


def test_what_no_exit_rule_trips_is_left_alone() -> None:
    """B doubles and is far above its target: the schedule skips, so only A is sold."""
    bars = {"A": flat(100, 100, 100, 79, 79), "B": flat(100, 100, 100, 200, 200)}
    played = play(Script(bars, {1: {"A": 0.3, "B": 0.3}}, risk={"stop_loss_pct": 20}, **SKIPS))
    assert [(played.bar_of(f), f.symbol, f.quantity) for f in played.fills] == [
        (2, "A", D(300)),
        (2, "B", D(300)),
        (4, "A", D(300)),
    ]
    assert played.decisions[-2].target_weights == {"A": 0.0, "B": pytest.approx(60_000 / 123_700)}


def test_a_skipped_session_without_a_trip_decides_nothing() -> None:
    played = play(Script({"A": flat(100, 100, 100, 81, 81)}, {1: {"A": 0.3}}, risk={"stop_loss_pct": 20}, **SKIPS))
    assert refusals(played) == [["NOT_SCHEDULED"]] * 4
    assert [d.target_weights for d in played.decisions if d.source == "model"] == [{}] * 4
    assert len(played.fills) == 1


def test_an_exit_may_enter_again_at_the_next_decision_and_not_before() -> None:
    """500 at 100, sold at 70: 85,000 are left. The target sent after that buys 607 (42,500 / 70) at the open after."""
    bars = [Bar(100, 100), Bar(100, 100), Bar(100, 70), *flat(70, 70, 70)]
    played = play(Script({"A": bars}, {1: {"A": 0.5}, 3: {"A": 0.5}}, risk={"stop_loss_pct": 20}, **SKIPS))
    assert [(played.bar_of(f), f.side, f.quantity) for f in played.fills] == [
        (2, Side.BUY, D(500)),
        (3, Side.SELL, D(500)),
        (4, Side.BUY, D(607)),
    ]


def test_a_short_that_ate_the_whole_value_is_still_bought_back() -> None:
    """1,000 sold at 100; at 250 the loss of 150,000 is more than there is. Nothing can be sized, but it is closed."""
    for schedule in ({}, SKIPS):
        played = play(
            Script({"A": flat(100, 100, 100, 250, 250)}, {1: {"A": -1.0}}, risk={"stop_loss_pct": 20}, **schedule)
        )
        assert [(f.side, f.quantity, f.price) for f in played.fills] == [
            (Side.SELL, D(1000), D(100)),
            (Side.BUY, D(1000), D(250)),
        ]
        assert played.nav_usd[-1] == D(-50_000)


def test_under_a_volume_cap_an_exit_ends_the_remainder_and_sells_part_by_part() -> None:
    """400 wanted, 100 a session can trade: 200 are bought at 100 until the close of 70, then 100 and 100 sold at 70.

    The rest of the buy is cancelled by the exit, the rest of the exit by the exit of the next close:
    100,000 - 200 * 100 + 200 * 70 = 94,000.
    """
    opens = [(100, 100), (100, 100), (100, 100), (100, 70), (70, 70), (70, 70), (70, 70)]
    bars = [Bar(open_, close, volume=1000) for open_, close in opens]
    capped = {"max_participation_pct": 10}
    played = play(Script({"A": bars}, {1: {"A": 0.4}}, risk={"stop_loss_pct": 20}, broker=capped, **SKIPS))
    assert [(played.bar_of(f), f.side, f.quantity, f.price) for f in played.fills] == [
        (2, Side.BUY, D(100), D(100)),
        (3, Side.BUY, D(100), D(100)),
        (4, Side.SELL, D(100), D(70)),
        (5, Side.SELL, D(100), D(70)),
    ]
    assert [(o.side, o.quantity, o.filled_quantity, o.status) for o in played.orders] == [
        (Side.BUY, D(400), D(200), OrderStatus.CANCELLED),
        (Side.SELL, D(200), D(100), OrderStatus.CANCELLED),
        (Side.SELL, D(100), D(100), OrderStatus.FILLED),
    ]
    assert (played.nav_usd[-1], played.record.positions) == (D(94_000), {})


class Desk:
    """One controller at closes given by hand; whoever asks for features or forecasts fails."""

    def __init__(self, broker: FakeBroker | PaperBroker, **risk: float) -> None:
        self.spec = PortfolioSpec(
            name="demo",
            universe=Universe(symbols=("A", "B")),
            schedule=Schedule(every_bars=10),
            sizing=Sizing(min_order_usd=D(0), cash_buffer_pct=0, max_weight=1),
            risk=RiskLimits(max_volume_pct=100, **risk),
        )
        self.broker, self.ledger, self.notifier = broker, InMemoryLedger(), InMemoryNotifier()
        self.controller = PortfolioTrader(
            self.spec,
            features=None,  # type: ignore[arg-type]
            forecaster=None,  # type: ignore[arg-type]
            broker=broker,
            ledger=self.ledger,
            history=BarHistory(),
            notifier=self.notifier,
        )
        self.controller.open(self.market(0, 100, 100))

    def market(self, day: int, a: float, b: float) -> Market:
        prices = {"A": D(str(a)), "B": D(str(b))}
        return Market(close_of(day), "bars@0", 1, prices, dict.fromkeys(prices, D(10**6)), ())

    def close(self, day: int, a: float, b: float = 100) -> Decision:
        decision = self.controller.on_session(self.market(day, a, b))
        assert decision is not None
        return decision


@pytest.fixture
def desk() -> Desk:
    """400 A bought at 100 at the open of day 1; a stop-loss at 20 %."""
    made = Desk(FakeBroker(cash_usd=D(100_000)), stop_loss_pct=20)
    order = made.controller.update_target({"A": 0.4}, made.market(0, 100, 100)).orders[0]
    made.broker.fill(order.id, D(100), close_of(1))
    assert made.close(1, 100).orders == ()
    return made


def test_a_late_split_moves_the_best_close_and_trips_nothing() -> None:
    """Best close 130, then 2:1 with a bar that comes late: 65, and 64 is 1.5 % below it, not 51 %."""
    desk = Desk(FakeBroker(cash_usd=D(100_000)), stop_loss_pct=90, trailing_stop_pct=10)
    order = desk.controller.update_target({"A": 0.4}, desk.market(0, 100, 100)).orders[0]
    desk.broker.fill(order.id, D(100), close_of(1))
    desk.close(1, 130)
    desk.controller.on_session(replace(desk.market(2, 130, 100), missing=frozenset({"A"})))
    late = replace(desk.market(2, 64, 100), actions=(Action("A", 0.5, 0.5, D(130)),))
    desk.controller.adjust(late)
    assert desk.ledger.record(desk.spec.name).positions["A"] == Position("A", D(800), D(50), D(65))
    assert desk.close(3, 59).orders == ()
    assert [r.code for r in desk.close(4, 58.5).refusals] == ["NOT_SCHEDULED", "NOT_RECONCILED"]


def test_a_halted_portfolio_closes_nothing(desk: Desk) -> None:
    desk.ledger.set_state("demo", TradingState.HALTED, "drill", close_of(1))
    decision = desk.close(2, 70)
    assert ([r.code for r in decision.refusals], decision.orders) == (["HALTED"], ())


def test_a_reducing_portfolio_closes(desk: Desk) -> None:
    desk.ledger.set_state("demo", TradingState.REDUCING, "drill", close_of(1))
    assert [(o.side, o.quantity) for o in desk.close(2, 70).orders] == [(Side.SELL, D(400))]


def test_the_drawdown_rule_trips_on_a_skipped_session(desk: Desk) -> None:
    """400 shares lost 65 of 100: 26,000 of 100,000 are above the limit of 25 %."""
    decision = desk.close(2, 35)
    assert decision.state is TradingState.REDUCING
    assert [(o.side, o.quantity) for o in decision.orders] == [(Side.SELL, D(400))]


def test_no_exit_is_sent_while_ledger_and_broker_disagree(desk: Desk) -> None:
    account = desk.ledger.record(desk.spec.name)
    held = replace(account.positions["A"], quantity=D(399))
    desk.ledger._books["demo"].record = replace(account, positions={"A": held})
    decision = desk.close(2, 70)
    assert [r.code for r in decision.refusals] == ["NOT_SCHEDULED", "NOT_RECONCILED"]
    assert decision.orders == ()
    assert "the ledger holds 399, the broker 400" in desk.notifier.sent[-1][1]


def test_an_exit_replaces_what_is_left_of_an_order_filled_in_part(desk: Desk) -> None:
    """400 more are ordered and 100 fill: the exit sells the 500 that are held, and the rest is not bought."""
    bought = desk.controller.update_target({"A": 0.8}, desk.market(1, 100, 100)).orders[0]
    desk.broker.fill(bought.id, D(100), close_of(2), D(100))
    decision = desk.close(2, 70)
    assert [(o.side, o.quantity) for o in decision.orders] == [(Side.SELL, D(500))]
    assert desk.ledger.trail(bought.id).order.status is OrderStatus.CANCELLED
    assert [o.id for o in desk.ledger.record(desk.spec.name).open_orders] == [decision.orders[0].id]


def test_no_exit_is_sent_beside_an_order_that_cannot_be_cancelled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from alphamill.errors import BrokerUnavailable

    def down(order_id: str) -> None:
        raise BrokerUnavailable("no answer")

    desk.controller.update_target({"A": 0.8}, desk.market(1, 100, 100))
    monkeypatch.setattr(desk.broker, "cancel", down)
    decision = desk.close(2, 70)
    assert [r.code for r in decision.refusals] == ["NOT_SCHEDULED", "NOT_RECONCILED"]
    assert decision.orders == ()
