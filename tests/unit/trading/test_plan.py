import datetime as dt
from decimal import Decimal

from alphamill.domain.decisions import TradingState
from alphamill.domain.portfolios import PortfolioSpec, Universe
from alphamill.risk import RiskContext, default_rules
from alphamill.trading.plan import plan_to_weights

SYMBOLS = tuple(f"S{number:02d}" for number in range(40))


def test_order_and_last_digit_of_weights_do_not_depend_on_the_order_of_a_set() -> None:
    """Sets of strings are ordered anew in every process: live and backtest would sum weights in different orders."""
    spec = PortfolioSpec(name="demo", universe=Universe(symbols=SYMBOLS))
    nothing = dict.fromkeys(SYMBOLS, Decimal(100))
    context = RiskContext(
        spec=spec,
        state=TradingState.ACTIVE,
        nav_usd=Decimal(1000),
        peak_nav_usd=Decimal(1000),
        cash_usd=Decimal(1000),
        positions={},
        prices=nothing,
        volumes=nothing,
        decided_at=dt.datetime(2012, 1, 3, 21, tzinfo=dt.UTC),
    )
    plan = plan_to_weights(context, default_rules(spec), {}, {}, {}, {}, set(SYMBOLS))
    assert list(plan.target_weights) == sorted(SYMBOLS)
