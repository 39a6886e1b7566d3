"""Exit rules against their definition in fractions, and what marks and corporate actions may do to them."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.domain.decisions import TradingState
from alphamill.domain.orders import Position
from alphamill.domain.portfolios import PortfolioSpec, RiskLimits, Sizing, Universe
from alphamill.execution import Account
from alphamill.risk import RiskContext, default_rules
from alphamill.testing.orders import close_of
from alphamill.trading.exits import exit_plan, tripped

SYMBOLS = ("A", "B", "C")
cents = st.integers(100, 100_000).map(lambda n: Decimal(n).scaleb(-2))
quantities = st.integers(-500, 500).filter(bool).map(Decimal)


@st.composite
def marked_positions(draw: st.DrawFn) -> Position:
    position = Position("A", draw(quantities), draw(cents))
    for close in draw(st.lists(cents, max_size=3)):
        position = position.marked(close)
    return position


def is_past(position: Position, reference: Decimal, price: Decimal, limit_pct: int, better: bool) -> bool:
    """Whether the price is at or past the level `limit_pct` from the reference."""
    up = (position.quantity > 0) == better
    level = Fraction(reference) * (100 + limit_pct if up else 100 - limit_pct) / 100
    return Fraction(price) >= level if up else Fraction(price) <= level


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(SYMBOLS), st.tuples(marked_positions(), cents), min_size=1),
    st.tuples(*[st.integers(1, 60)] * 3),
)
def test_a_position_is_closed_whole_when_its_close_is_past_a_level_and_otherwise_left_alone(
    held: dict[str, tuple[Position, Decimal]], limits: tuple[int, int, int]
) -> None:
    loss, profit, trail = limits
    spec = PortfolioSpec(
        name="demo",
        universe=Universe(symbols=SYMBOLS),
        sizing=Sizing(min_order_usd=Decimal(0), gross_limit=4),
        risk=RiskLimits(
            stop_loss_pct=loss,
            take_profit_pct=profit,
            trailing_stop_pct=trail,
            max_volume_pct=100,
            max_order_notional_usd=Decimal(10**9),
        ),
        broker={"margin": True},  # type: ignore[arg-type]
    )
    context = RiskContext(
        spec=spec,
        state=TradingState.ACTIVE,
        nav_usd=Decimal(10**7),
        peak_nav_usd=Decimal(10**7),
        cash_usd=Decimal(10**7),
        positions={s: Position(s, p.quantity, p.average_price, p.extreme_price) for s, (p, _) in held.items()},
        prices={s: price for s, (_, price) in held.items()},
        volumes=dict.fromkeys(held, Decimal(10**6)),
        decided_at=close_of(0),
    )
    expected = {
        symbol
        for symbol, (p, price) in held.items()
        if is_past(p, p.average_price, price, loss, better=False)
        or is_past(p, p.average_price, price, profit, better=True)
        or is_past(p, p.best_price, price, trail, better=False)
    }
    rules = default_rules(spec)
    assert tripped(context, rules) == expected
    plan = exit_plan(context, rules, dict.fromkeys(held, 0.1))
    assert {o.symbol: o.side.sign * o.quantity for o in plan.orders} == {s: -held[s][0].quantity for s in expected}
    assert {s: w for s, w in plan.target_weights.items() if w} == {s: 0.1 for s in held if s not in expected}


@settings(max_examples=100, deadline=None)
@given(marked_positions(), cents, st.sampled_from([0.5, 0.25, 2.0]), st.integers(0, 20))
def test_a_split_and_a_dividend_leave_the_distance_to_the_best_close(
    position: Position, close: Decimal, split: float, dividend_pct: int
) -> None:
    """Fractions of shares are allowed, so that the position survives a reverse split whole."""
    factor = Decimal(str(split)) * (1 - Decimal(dividend_pct) / 100)
    before = Account(Decimal(0), {"A": position.marked(close)})
    after = before.apply_action("A", factor, split, close, Decimal("0.00000001"))
    moved = after.positions["A"].best_price / (close * factor)
    assert abs(moved / (before.positions["A"].best_price / close) - 1) < Decimal("1e-6")
