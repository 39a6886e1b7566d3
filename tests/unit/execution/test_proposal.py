"""From target weights to orders."""

from decimal import Decimal
from typing import Any

import pytest

from alphamill.domain.orders import Position, Side, order_id
from alphamill.errors import DataUnfit, InvalidWeights
from alphamill.execution import propose_orders
from alphamill.testing.orders import close_of

D = Decimal
PRICES = {"A": D(50), "B": D(40), "C": D(1000)}


def propose(targets: dict[str, float], owned: dict[str, int] | None = None, **changes: Any):
    positions = {s: Position(s, D(q), D(1)) for s, q in (owned or {}).items()}
    defaults: dict[str, Any] = {
        "portfolio": "demo",
        "decided_at": close_of(0),
        "target_weights": targets,
        "nav_usd": D(10_000),
        "positions": positions,
        "prices": PRICES,
        "min_order_usd": D(100),
        "cash_buffer_pct": 1.0,
    }
    return propose_orders(**{**defaults, **changes})


def test_target_is_floored_to_whole_shares_after_the_buffer() -> None:
    (order,) = propose({"A": 0.25})
    assert (order.side, order.quantity, order.reference_price) == (Side.BUY, 49, 50)
    assert order.id == order_id("demo", close_of(0), "A", Side.BUY, D(49))


def test_short_target_is_rounded_toward_zero() -> None:
    (order,) = propose({"A": -0.25})
    assert (order.side, order.quantity) == (Side.SELL, 49)


def test_fractional_target_is_rounded_toward_zero_to_the_step() -> None:
    (order,) = propose({"C": 0.25}, share_step=D("0.001"), cash_buffer_pct=0.5)
    # 0.25 * 10,000 * 0.995 / 1,000 = 2.4875
    assert (order.side, order.quantity) == (Side.BUY, D("2.487"))
    assert order.id == order_id("demo", close_of(0), "C", Side.BUY, D("2.4870"))
    (short,) = propose({"C": -0.25}, share_step=D("0.5"), cash_buffer_pct=0.5)
    assert (short.side, short.quantity) == (Side.SELL, 2)


def test_first_order_brings_a_position_back_to_the_step() -> None:
    positions = {"A": Position("A", D("10.25"), D(1))}
    (order,) = propose({"A": 0.25}, positions=positions)
    assert order.quantity == D("38.75")
    (close,) = propose({"A": 0.0}, positions=positions)
    assert (close.side, close.quantity) == (Side.SELL, D("10.25"))


def test_flip_is_one_order_through_zero() -> None:
    (order,) = propose({"A": -0.25}, {"A": 10})
    assert (order.side, order.quantity) == (Side.SELL, 59)


def test_sells_come_before_buys_then_by_symbol() -> None:
    orders = propose({"B": 0.3, "A": 0.3, "C": 0.0}, {"C": 2})
    assert [(o.side, o.symbol) for o in orders] == [(Side.SELL, "C"), (Side.BUY, "A"), (Side.BUY, "B")]


def test_symbols_without_target_or_held_are_not_traded() -> None:
    assert [o.symbol for o in propose({"A": 0.3, "B": 0.0}, {"B": 10, "C": 1}, held={"B"})] == ["A"]


def test_small_difference_is_left_alone_but_a_small_position_is_closed() -> None:
    assert propose({"A": 0.0171}, {"A": 2}, cash_buffer_pct=0.0) == []
    (order,) = propose({"A": 0.0}, {"A": 1})
    assert (order.side, order.quantity) == (Side.SELL, 1)


@pytest.mark.parametrize("weight", [0.4, 0.400001, 0.399999])
def test_cash_buffer_alone_sells_nothing(weight: float) -> None:
    assert propose({"A": weight}, {"A": 80}) == []


def test_raised_target_never_sells_because_of_the_buffer() -> None:
    assert propose({"A": 0.402}, {"A": 80}, min_order_usd=D(0)) == []


def test_reason_says_from_where_to_where_and_why() -> None:
    (order,) = propose({"A": 0.25}, {"A": 20}, reasons={"A": "forecast +0.8 % over 5 bars"})
    assert order.reason == "target 0.25 from 0.10, forecast +0.8 % over 5 bars"
    assert propose({"A": 0.25})[0].reason == "target 0.25 from 0.00"


@pytest.mark.parametrize("price", [D("NaN"), D(0), D(-1), None])
def test_price_that_is_no_price_is_refused(price: Decimal | None) -> None:
    with pytest.raises(DataUnfit, match="A has the price"):
        propose({"A": 0.1}, prices={"A": price} if price is not None else {})


def test_nav_that_is_gone_is_refused() -> None:
    with pytest.raises(DataUnfit, match="NAV is 0"):
        propose({"A": 0.1}, nav_usd=D(0))


def test_weight_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidWeights, match="A has weight nan"):
        propose({"A": float("nan")})
