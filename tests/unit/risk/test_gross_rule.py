"""The gross limit counts on sales; where one is denied, what it would have made room for is cut."""

import datetime as dt
from decimal import Decimal

import pytest

from alphamill.domain.decisions import TradingState, Verdict
from alphamill.domain.orders import Position
from alphamill.domain.portfolios import PortfolioSpec, Universe
from alphamill.risk import RiskContext
from alphamill.risk.gross_rule import GrossAfterOrders
from alphamill.testing.orders import close_of, market_order

D = Decimal
SPEC = PortfolioSpec(name="demo", universe=Universe(symbols=("A", "B", "C")))


def context(**held: int) -> RiskContext:
    """NAV 10,000, every price 100."""
    at: dt.datetime = close_of(0)
    return RiskContext(
        spec=SPEC,
        state=TradingState.ACTIVE,
        nav_usd=D(10_000),
        peak_nav_usd=D(10_000),
        cash_usd=D(10_000),
        positions={s: Position(s, D(q), D(100)) for s, q in held.items()},
        prices=dict.fromkeys("ABC", D(100)),
        volumes={},
        decided_at=at,
    )


@pytest.mark.parametrize(
    ("held", "orders", "kept"),
    [
        # 60 A stay (6,000 of 10,000): 40 of the 70 shares wanted fit, B and C are cut alike: 50 * 4/7 and 20 * 4/7.
        ({"A": 60}, {"B": 50, "C": 20}, {"B": 28, "C": 11}),
        # The same with A sold: 70 fit.
        ({"A": 60}, {"A": -60, "B": 50, "C": 20}, {"A": -60, "B": 50, "C": 20}),
        # Short A counts like long A.
        ({"A": -60}, {"B": 50}, {"B": 40}),
        # Through zero: 30 close, 80 would open; B's 60 stay, so 40 open.
        ({"A": 30, "B": 60}, {"A": -110}, {"A": -70}),
        # No room: what closes passes, what opens is denied.
        ({"A": 120, "B": 10}, {"A": -10, "C": 5}, {"A": -10}),
        ({"A": 120}, {"A": -120}, {"A": -120}),
        ({}, {"A": 100}, {"A": 100}),
    ],
)
def test_what_opens_is_cut_to_the_room_beside_what_stays(held, orders, kept) -> None:
    proposed = [market_order(s, q) for s, q in orders.items()]
    after, results = GrossAfterOrders(1.0).apply(context(**held), proposed)
    assert {o.symbol: o.side.sign * o.quantity for o in after} == kept
    cut = {s for s, q in orders.items() if kept.get(s) != q}
    assert {r.symbol for r in results} == cut
    assert {r.code for r in results} <= {"GROSS_LIMIT"}
    assert all((r.verdict is Verdict.DENY) == (r.symbol not in kept) for r in results)


@pytest.mark.parametrize(
    ("held", "orders", "kept", "codes"),
    [
        # 94 B stay: 6 shares fit, 600 USD.
        ({"B": 94}, {"A": 30}, {"A": 6}, {"GROSS_LIMIT"}),
        # 5 fit: 500 USD are under the smallest order.
        ({"B": 95}, {"A": 30}, {}, {"MIN_ORDER"}),
        # Through zero: 2 close, 4 would open, 600 USD; with 3 it is 500, so it only closes.
        ({"A": 2, "B": 96}, {"A": -32}, {"A": -6}, {"GROSS_LIMIT"}),
        ({"A": 2, "B": 97}, {"A": -32}, {"A": -2}, {"GROSS_LIMIT"}),
    ],
)
def test_what_is_left_under_the_smallest_order_is_denied_unless_it_closes(held, orders, kept, codes) -> None:
    proposed = [market_order(s, q) for s, q in orders.items()]
    after, results = GrossAfterOrders(1.0, D(600)).apply(context(**held), proposed)
    assert {o.symbol: o.side.sign * o.quantity for o in after} == kept
    assert {r.code for r in results} == codes
