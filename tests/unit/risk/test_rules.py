"""Each rule, one by one."""

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from alphamill.domain.costs import costs_of
from alphamill.domain.decisions import RuleResult, TradingState, Verdict
from alphamill.domain.orders import Order, Position, order_id
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, RiskLimits, Universe
from alphamill.errors import InvalidWeights
from alphamill.risk import (
    ExitRule,
    OrderRule,
    RiskContext,
    Rules,
    check_orders,
    check_targets,
    default_rules,
    next_state,
)
from alphamill.risk.exit_rules import StopLoss, TakeProfit, TrailingStop
from alphamill.risk.order_rules import BuyingPower, MaxOrderNotional, MaxVolume, MinOrder, StateAllows, ValidNumbers
from alphamill.risk.target_rules import GrossLimit, LongOnly, MaxDrawdown, MaxTurnover, MaxWeight
from alphamill.testing.orders import close_of, market_order

D = Decimal
SPEC = PortfolioSpec(name="demo", universe=Universe(symbols=("A", "B", "C")), risk=RiskLimits(max_drawdown_pct=25))


def context(positions: dict[str, tuple[int, int]] | None = None, **changes: Any) -> RiskContext:
    """NAV 10,000, every price 100, volume 1,000; positions are (quantity, average price)."""
    defaults: dict[str, Any] = {
        "spec": SPEC,
        "state": TradingState.ACTIVE,
        "nav_usd": D(10_000),
        "peak_nav_usd": D(10_000),
        "cash_usd": D(10_000),
        "positions": {s: Position(s, D(q), D(p)) for s, (q, p) in (positions or {}).items()},
        "prices": dict.fromkeys("ABC", D(100)),
        "volumes": dict.fromkeys("ABC", D(1000)),
        "decided_at": close_of(0),
    }
    return RiskContext(**{**defaults, **changes})


def said(results: list[RuleResult]) -> list[tuple[str, Verdict, str]]:
    return [(result.symbol, result.verdict, result.code) for result in results]


def test_short_target_becomes_zero_when_long_only() -> None:
    weights, results = LongOnly().apply(context(), {"A": -0.1, "B": 0.2})
    assert weights == {"A": 0.0, "B": 0.2}
    assert said(results) == [("A", Verdict.SHRINK, "LONG_ONLY")]


def test_target_above_max_weight_is_cut_on_both_sides() -> None:
    weights, results = MaxWeight(0.4).apply(context(), {"A": 0.5, "B": -0.6, "C": 0.4})
    assert weights == {"A": 0.4, "B": -0.4, "C": 0.4}
    assert said(results) == [("A", Verdict.SHRINK, "MAX_WEIGHT"), ("B", Verdict.SHRINK, "MAX_WEIGHT")]


def test_targets_above_the_gross_limit_are_scaled_alike() -> None:
    weights, results = GrossLimit(1.0).apply(context(), {"A": 1.0, "B": -1.0})
    assert weights == {"A": 0.5, "B": -0.5}
    assert said(results) == [("*", Verdict.SHRINK, "GROSS_LIMIT")]


def test_position_without_target_uses_up_the_gross_limit() -> None:
    weights, _ = GrossLimit(1.0).apply(context({"C": (40, 100)}), {"A": 0.6, "B": 0.6})
    assert weights == pytest.approx({"A": 0.3, "B": 0.3})


def test_turnover_above_the_limit_scales_what_raises_and_lets_reductions_pass() -> None:
    held = context({"A": (50, 100), "B": (10, 100)})
    weights, results = MaxTurnover(60).apply(held, {"A": 0.1, "B": 0.3, "C": 0.2})
    assert weights == pytest.approx({"A": 0.1, "B": 0.2, "C": 0.1})
    assert said(results) == [("*", Verdict.SHRINK, "MAX_TURNOVER")]


def test_turnover_limit_never_keeps_a_position_that_shall_close() -> None:
    weights, _ = MaxTurnover(10).apply(context({"A": (50, 100)}), {"A": -0.5})
    assert weights == {"A": 0.0}


def test_drawdown_at_the_limit_lets_no_target_rise() -> None:
    fallen = context({"A": (20, 100), "B": (20, 100)}, peak_nav_usd=D(13_334))
    weights, results = MaxDrawdown(25).apply(fallen, {"A": 0.3, "B": 0.1, "C": 0.1})
    assert weights == {"A": 0.2, "B": 0.1, "C": 0.0}
    assert said(results) == [("*", Verdict.DENY, "MAX_DRAWDOWN")]
    assert MaxDrawdown(26).apply(fallen, {"A": 0.3})[1] == []


def test_reducing_state_caps_targets_like_a_drawdown() -> None:
    weights, _ = MaxDrawdown(25).apply(context({"A": (20, 100)}, state=TradingState.REDUCING), {"A": 0.3})
    assert weights == {"A": 0.2}


@pytest.mark.parametrize(("quantity", "average"), [(10, 125), (-10, 80)])
def test_position_at_its_stop_gets_target_zero_on_both_sides(quantity: int, average: int) -> None:
    weights, results = StopLoss(20).apply(context({"A": (quantity, average)}), {"A": 0.3, "B": 0.1})
    assert weights == {"A": 0.0, "B": 0.1}
    assert said(results) == [("A", Verdict.SHRINK, "STOP_LOSS")]


def test_position_above_its_stop_keeps_its_target() -> None:
    assert StopLoss(20).apply(context({"A": (10, 124)}), {"A": 0.3}) == ({"A": 0.3}, [])


def test_stop_closes_a_position_that_has_no_target() -> None:
    assert StopLoss(20).apply(context({"A": (10, 200)}), {})[0] == {"A": 0.0}


@pytest.mark.parametrize(("quantity", "average"), [(10, 80), (-10, 125)])
def test_position_at_its_profit_gets_target_zero_on_both_sides(quantity: int, average: int) -> None:
    """Long from 80 to 100: + 25 %. Short from 125 to 100: + 20 %."""
    held = context({"A": (quantity, average)})
    reached = 25 if quantity > 0 else 20
    weights, results = TakeProfit(reached).apply(held, {"A": 0.3, "B": 0.1})
    assert weights == {"A": 0.0, "B": 0.1}
    assert said(results) == [("A", Verdict.SHRINK, "TAKE_PROFIT")]
    assert TakeProfit(reached + 0.01).apply(held, {"A": 0.3}) == ({"A": 0.3}, [])


@pytest.mark.parametrize(("quantity", "best", "lost_pct"), [(10, 125, 20), (-10, 80, 25)])
def test_position_that_gave_back_too_much_gets_target_zero_on_both_sides(
    quantity: int, best: int, lost_pct: int
) -> None:
    """A long that closed at 125 lost 20 % of it at 100; a short that closed at 80 is 25 % above it at 100."""
    held = replace(context(), positions={"A": Position("A", D(quantity), D(100), D(best))})
    weights, results = TrailingStop(lost_pct).apply(held, {"A": 0.3})
    assert weights == {"A": 0.0}
    assert said(results) == [("A", Verdict.SHRINK, "TRAILING_STOP")]
    assert TrailingStop(lost_pct + 0.01).apply(held, {"A": 0.3}) == ({"A": 0.3}, [])


def test_trailing_stop_of_a_position_never_marked_counts_from_its_average_price() -> None:
    held = context({"A": (10, 125)})
    assert TrailingStop(20).apply(held, {})[0] == {"A": 0.0}
    assert TrailingStop(20.5).apply(held, {})[0] == {}


@pytest.mark.parametrize("rule", [StopLoss(1), TakeProfit(1), TrailingStop(1)])
@pytest.mark.parametrize("price", [D("NaN"), D(0), D("-5"), D("Infinity"), None])
def test_no_exit_is_made_at_a_price_that_is_none(rule: ExitRule, price: Decimal | None) -> None:
    prices = {} if price is None else {"A": price}
    assert rule.apply(context({"A": (10, 50), "B": (-10, 50)}, prices=prices), {"A": 0.3}) == ({"A": 0.3}, [])


def test_exits_run_last_and_only_those_that_are_asked_for() -> None:
    def last(**limits: float) -> list[str]:
        rules = default_rules(SPEC.model_copy(update={"risk": RiskLimits(**limits)}))
        return [rule.name for rule in rules.targets if isinstance(rule, ExitRule)]

    assert last() == ["stop_loss"]
    assert last(take_profit_pct=10, trailing_stop_pct=5) == ["stop_loss", "take_profit", "trailing_stop"]
    rules = default_rules(SPEC.model_copy(update={"risk": RiskLimits(take_profit_pct=10, trailing_stop_pct=5)}))
    assert [rule.name for rule in rules.targets[-3:]] == ["stop_loss", "take_profit", "trailing_stop"]


@pytest.mark.parametrize("price", [D("NaN"), D(0), D("-5"), D("Infinity"), None])
def test_order_without_a_sound_price_is_denied(price: Decimal | None) -> None:
    prices = {} if price is None else {"A": price}
    kept, results = ValidNumbers().apply(context(prices=prices), [market_order("A", 1)])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "INVALID_PRICE")])


def test_order_sized_at_another_price_is_denied() -> None:
    kept, results = ValidNumbers().apply(context(), [market_order("A", 1, price="99")])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "INVALID_PRICE")])


@pytest.mark.parametrize("quantity", [D(0), D(-1), D("NaN")])
def test_order_without_a_sound_quantity_is_denied(quantity: Decimal) -> None:
    kept, results = ValidNumbers().apply(context(), [replace(market_order("A", 1), quantity=quantity)])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "INVALID_QUANTITY")])


def test_halted_sends_nothing() -> None:
    halted = context({"A": (10, 100)}, state=TradingState.HALTED)
    kept, results = StateAllows().apply(halted, [market_order("A", -5), market_order("B", 1)])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "HALTED"), ("B", Verdict.DENY, "HALTED")])


def test_reducing_lets_a_position_shrink_but_not_flip_or_grow() -> None:
    reducing = context({"A": (10, 100), "B": (-10, 100)}, state=TradingState.REDUCING)
    orders = [market_order("A", -15), market_order("B", 4), market_order("C", 1), market_order("B", -1)]
    kept, results = StateAllows().apply(reducing, orders)
    assert [(o.symbol, o.side.sign * o.quantity) for o in kept] == [("A", -10), ("B", 4)]
    assert said(results) == [
        ("A", Verdict.SHRINK, "REDUCING"),
        ("C", Verdict.DENY, "REDUCING"),
        ("B", Verdict.DENY, "REDUCING"),
    ]


def test_two_sells_together_cannot_flip_a_reducing_position() -> None:
    reducing = context({"A": (10, 100)}, state=TradingState.REDUCING)
    kept, _ = StateAllows().apply(reducing, [market_order("A", -7), market_order("A", -6)])
    assert [order.quantity for order in kept] == [7, 3]


def test_shrunk_order_gets_the_id_of_its_new_content() -> None:
    reducing = context({"A": (10, 100)}, state=TradingState.REDUCING)
    ((order,), _) = StateAllows().apply(reducing, [market_order("A", -15)])
    assert order.id == order_id("demo", close_of(0), "A", order.side, D(10))
    assert order.id != market_order("A", -15).id


def test_order_above_max_notional_is_denied() -> None:
    kept, results = MaxOrderNotional(D(1000)).apply(context(), [market_order("A", 11), market_order("B", 10)])
    assert [order.symbol for order in kept] == ["B"]
    assert said(results) == [("A", Verdict.DENY, "ORDER_NOTIONAL")]


def test_large_position_is_left_in_pieces_of_the_max_notional() -> None:
    kept, results = MaxOrderNotional(D(1050)).apply(context({"A": (50, 100)}), [market_order("A", -50)])
    assert [order.quantity for order in kept] == [10]
    assert said(results) == [("A", Verdict.SHRINK, "ORDER_NOTIONAL")]


def test_order_is_cut_to_its_part_of_the_volume() -> None:
    kept, results = MaxVolume(5).apply(context(), [market_order("A", 60), market_order("B", 50)])
    assert [order.quantity for order in kept] == [50, 50]
    assert said(results) == [("A", Verdict.SHRINK, "VOLUME_CAP")]


@pytest.mark.parametrize("volumes", [{}, {"A": D(0)}, {"A": D("NaN")}])
def test_order_without_volume_is_denied(volumes: dict[str, Decimal]) -> None:
    kept, results = MaxVolume(5).apply(context(volumes=volumes), [market_order("A", 1)])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "VOLUME_CAP")])


def test_buys_share_cash_and_proceeds_after_costs() -> None:
    orders = [market_order("C", -10), market_order("A", 100), market_order("B", 50)]
    kept, results = BuyingPower(*costs_of(SPEC.broker)).apply(context({"C": (10, 100)}, cash_usd=D(5000)), orders)
    assert [(o.symbol, o.quantity) for o in kept] == [("C", 10), ("A", 39), ("B", 19)]
    assert said(results) == [("A", Verdict.SHRINK, "INSUFFICIENT_CASH"), ("B", Verdict.SHRINK, "INSUFFICIENT_CASH")]


def broker(**changes: Any) -> PortfolioSpec:
    ref = BrokerRef.model_validate({"commission_bps": 0, "slippage_bps": 0, **changes})
    return SPEC.model_copy(update={"broker": ref})


def test_buys_pay_per_share_costs_and_fixed_slippage() -> None:
    spec = broker(commission_usd_per_share="0.50", slippage_usd_per_share="1.50")
    rule = BuyingPower(*costs_of(spec.broker))
    orders = [market_order("C", -10), market_order("A", 30), market_order("B", 20)]
    # The sale brings 10 * (98.50 - 0.50) = 980; a bought share costs 101.50 + 0.50 = 102, 50 of them 5,100.
    enough = context({"C": (10, 100)}, spec=spec, cash_usd=D(4120))
    assert rule.apply(enough, orders) == (orders, [])
    kept, results = rule.apply(replace(enough, cash_usd=D(4119)), orders)
    # 5,099 / 5,100 of 30 and of 20, rounded down.
    assert [(o.symbol, o.quantity) for o in kept] == [("C", 10), ("A", 29), ("B", 19)]
    assert results[0].detail.startswith("buys need 5100.00 USD with costs, 5099.00 are there")


def test_buys_that_are_cut_set_the_minimum_commission_aside() -> None:
    spec = broker(commission_usd_per_share="0.01", commission_min_usd=5)
    rule = BuyingPower(*costs_of(spec.broker))
    orders = [market_order("A", 60), market_order("B", 40)]
    # 60 * 0.01 and 40 * 0.01 are under 5: 6,000 + 5 + 4,000 + 5.
    assert rule.apply(context(spec=spec, cash_usd=D(10_010)), orders) == (orders, [])
    kept, _ = rule.apply(context(spec=spec, cash_usd=D("5010.50")), orders)
    # (5,010.50 - 2 * 5) / 10,001 = 0.5: 30 and 20, which cost 3,005 + 2,005 = 5,010.
    assert [order.quantity for order in kept] == [30, 20]
    assert rule.apply(context(spec=spec, cash_usd=D(10)), orders)[0] == []


def test_a_sale_that_costs_more_than_it_brings_counts_against_the_buys() -> None:
    spec = broker(commission_min_usd=150)
    orders = [market_order("C", -1), market_order("A", 1)]
    # The sale costs 150 and brings 100; the buy needs 100 + 150.
    enough = context({"C": (1, 100)}, spec=spec, cash_usd=D(300))
    assert BuyingPower(*costs_of(spec.broker)).apply(enough, orders)[0] == orders
    kept, _ = BuyingPower(*costs_of(spec.broker)).apply(replace(enough, cash_usd=D(299)), orders)
    assert [order.symbol for order in kept] == ["C"]


@pytest.mark.parametrize(("held", "bought"), [(0, 10), (4, 14), (10, 20), (20, 20)])
def test_nothing_is_bought_with_what_a_short_sale_brings(held: int, bought: int) -> None:
    orders = [market_order("C", -10), market_order("A", 20)]
    positions = {"C": (held, 100)} if held else None
    spec = broker()
    kept, _ = BuyingPower(*costs_of(spec.broker)).apply(context(positions, spec=spec, cash_usd=D(1000)), orders)
    assert [(o.symbol, o.quantity) for o in kept] == [("C", 10), ("A", bought)]


def test_a_buy_that_cash_leaves_too_small_is_denied() -> None:
    spec = broker()
    rule = BuyingPower(*costs_of(spec.broker), D(200))
    orders = [market_order("A", 30), market_order("B", 10)]
    # 800 of 4,000: 6 and 2 shares are left, 600 and 200 USD; of 799 it is 1 share of B.
    assert [o.quantity for o in rule.apply(context(spec=spec, cash_usd=D(800)), orders)[0]] == [6, 2]
    kept, results = rule.apply(context(spec=spec, cash_usd=D(799)), orders)
    assert [o.symbol for o in kept] == ["A"]
    assert said(results)[1] == ("B", Verdict.DENY, "MIN_ORDER")


def test_rules_cut_to_the_step_of_the_broker() -> None:
    spec = broker(share_step="0.01")
    fine = context(spec=spec, volumes={"A": D("99.9")}, cash_usd=D("333.33"))
    # 5 % of 99.9 is 4.995; 333.33 / 100; 1,234.56 / 100
    assert [o.quantity for o in MaxVolume(5).apply(fine, [market_order("A", 60)])[0]] == [D("4.99")]
    assert [o.quantity for o in BuyingPower(*costs_of(spec.broker)).apply(fine, [market_order("A", 60)])[0]] == [
        D("3.33")
    ]
    held = context({"A": (50, 100)}, spec=spec)
    assert [o.quantity for o in MaxOrderNotional(D("1234.56")).apply(held, [market_order("A", -50)])[0]] == [D("12.34")]


def test_order_off_the_step_is_denied_unless_the_position_it_leaves_is_on_it() -> None:
    off = context(positions=None)
    kept, results = ValidNumbers().apply(off, [market_order("A", "1.5")])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "INVALID_QUANTITY")])
    assert results[0].detail == "quantity 1.5 is no multiple of 1"
    odd = context(positions=None)
    odd = replace(odd, positions={"A": Position("A", D("2.5"), D(100))})
    assert ValidNumbers().apply(odd, [market_order("A", "-1.5")])[1] == []


def test_buy_without_cash_is_denied() -> None:
    kept, results = BuyingPower(*costs_of(SPEC.broker)).apply(context(cash_usd=D(-10)), [market_order("A", 1)])
    assert (kept, said(results)) == ([], [("A", Verdict.DENY, "INSUFFICIENT_CASH")])


def test_small_order_is_denied_unless_it_closes_the_position() -> None:
    orders = [market_order("A", -1), market_order("B", 1)]
    kept, results = MinOrder(D(150)).apply(context({"A": (1, 100)}), orders)
    assert [order.symbol for order in kept] == ["A"]
    assert said(results) == [("B", Verdict.DENY, "MIN_ORDER")]


def test_default_rules_run_in_their_order_and_a_quiet_rule_passes() -> None:
    rules = default_rules(SPEC)
    _, targets = check_targets(rules, context(), {"A": 0.3})
    _, orders = check_orders(rules, context(), [market_order("A", 30)])
    assert [r.rule for r in targets] == [
        "long_only",
        "max_weight",
        "gross_limit",
        "max_turnover",
        "max_drawdown",
        "stop_loss",
    ]
    assert [r.rule for r in orders] == [
        "valid_numbers",
        "state",
        "max_order_notional",
        "max_volume",
        "min_order",
        "buying_power",
        "gross_after_orders",
    ]
    assert {(r.symbol, r.verdict) for r in (*targets, *orders)} == {("*", Verdict.PASS)}


def test_margin_and_shorts_leave_their_rules_out() -> None:
    free = SPEC.model_copy(
        update={
            "sizing": SPEC.sizing.model_copy(update={"long_only": False}),
            "broker": SPEC.broker.model_copy(update={"margin": True}),
        }
    )
    names = {rule.name for rule in (*default_rules(free).targets, *default_rules(free).orders)}
    assert not names & {"long_only", "buying_power"}


def test_nothing_softens_the_stop_loss() -> None:
    rules = default_rules(SPEC.model_copy(update={"risk": RiskLimits(max_turnover_pct=1)}))
    weights, _ = check_targets(rules, context({"A": (40, 200)}), {"A": 0.4, "B": 0.3})
    assert weights["A"] == 0.0


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_target_that_is_not_finite_is_refused(weight: float) -> None:
    with pytest.raises(InvalidWeights, match="A has weight"):
        check_targets(default_rules(SPEC), context(), {"A": weight})


def test_drawdown_trips_active_to_reducing_with_a_reason() -> None:
    assert next_state(context(peak_nav_usd=D(13_333))) == (TradingState.ACTIVE, "")
    state, reason = next_state(context(peak_nav_usd=D(13_334)))
    assert state is TradingState.REDUCING
    assert reason == "rule max_drawdown: 25.00 % from the peak reached the limit of 25 %"


@pytest.mark.parametrize(
    ("reason", "pause_days", "waited_days", "resumed"),
    [
        ("rule max_drawdown: 25 %", 30, 30, True),
        ("rule max_drawdown: 25 %", 30, 29, False),
        ("rule max_drawdown: 25 %", None, 3000, False),
        ("a person said so", 30, 3000, False),
    ],
)
def test_only_a_pause_that_the_portfolio_declares_ends_by_itself(
    reason: str, pause_days: int | None, waited_days: int, resumed: bool
) -> None:
    paused = context(peak_nav_usd=D(20_000), state=TradingState.REDUCING)
    spec = SPEC.model_copy(update={"risk": RiskLimits(drawdown_pause_days=pause_days)})
    since = paused.decided_at - dt.timedelta(days=waited_days)
    state, _ = next_state(replace(paused, spec=spec, state_reason=reason, state_since=since))
    assert state is (TradingState.ACTIVE if resumed else TradingState.REDUCING)


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_recovered_nav_does_not_resume_by_itself(state: TradingState) -> None:
    assert next_state(context(state=state)) == (state, "")


@dataclass(frozen=True)
class NoFridays(OrderRule):
    """A rule of a user's own."""

    name: ClassVar[str] = "no_fridays"

    def check(self, context: RiskContext, order: Order) -> tuple[Order | None, RuleResult | None]:
        if context.decided_at.isoweekday() == 5:
            return self.deny(order, "FRIDAY", "no orders on Fridays")
        return order, None


def test_rule_of_ones_own_is_ten_lines() -> None:
    rules = Rules((), ()).with_order(NoFridays()).with_target(MaxWeight(0.1))
    monday, friday = context(), context(decided_at=close_of(4))
    assert check_orders(rules, monday, [market_order("A", 1)])[0] == [market_order("A", 1)]
    assert said(check_orders(rules, friday, [market_order("A", 1)])[1]) == [("A", Verdict.DENY, "FRIDAY")]
    assert check_targets(rules, monday, {"A": 0.2})[0] == {"A": 0.1}
