"""Portfolio construction as a whole: forecasts, positions and limits in; orders that keep every limit out."""

import datetime as dt
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.domain.decisions import TradingState
from alphamill.domain.forecasts import Forecast
from alphamill.domain.orders import Position, Side, order_id
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, RiskLimits, Sizing, Universe
from alphamill.features.history import BarHistory
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.risk import RiskContext, default_rules
from alphamill.trading.plan import Plan, plan_from_forecasts

D = Decimal
QUICK = settings(max_examples=200, deadline=None, derandomize=True)
BARS = synthetic_market(5, 80, seed=3)
HISTORY = BarHistory.from_bars(BARS)
SYMBOLS = tuple(HISTORY.symbols)
LAST = BARS.filter(pl.col("ts") == BARS["ts"].max())
PRICES = {s: D(str(p)) for s, p in LAST.select("symbol", "close").iter_rows()}
AT: dt.datetime = LAST["ts"][0]


@st.composite
def specs(draw: st.DrawFn) -> PortfolioSpec:
    return PortfolioSpec(
        name="demo",
        universe=Universe(symbols=SYMBOLS),
        sizing=Sizing(
            method=draw(st.sampled_from(("mean_variance", "equal_weight", "top_k"))),
            max_weight=draw(st.sampled_from((0.1, 0.3, 1.0))),
            gross_limit=draw(st.sampled_from((0.5, 1.0, 2.0))),
            long_only=draw(st.booleans()),
            covariance_bars=60,
            cash_buffer_pct=draw(st.sampled_from((0.0, 1.0, 20.0))),
            min_order_usd=D(draw(st.sampled_from((0, 100, 5000)))),
        ),
        risk=RiskLimits(
            max_order_notional_usd=D(draw(st.sampled_from((1000, 100_000)))),
            max_turnover_pct=draw(st.sampled_from((20.0, 400.0))),
            max_volume_pct=draw(st.sampled_from((0.01, 5.0, 100.0))),
            stop_loss_pct=draw(st.sampled_from((5.0, 100.0))),
        ),
        broker=BrokerRef(margin=draw(st.booleans()), commission_bps=draw(st.sampled_from((0.0, 50.0)))),
    )


@st.composite
def contexts(draw: st.DrawFn) -> RiskContext:
    spec = draw(specs())
    shares = st.integers(0 if spec.sizing.long_only else -300, 300).filter(bool)
    held = draw(st.dictionaries(st.sampled_from(SYMBOLS), st.tuples(shares, st.floats(0.5, 1.5)), max_size=4))
    positions = {s: Position(s, D(q), PRICES[s] * D(str(round(ratio, 3)))) for s, (q, ratio) in held.items()}
    cash = D(draw(st.integers(0 if not spec.broker.margin else -20_000, 100_000)))
    nav = cash + sum(p.quantity * PRICES[s] for s, p in positions.items())
    return RiskContext(
        spec=spec,
        state=draw(st.sampled_from((TradingState.ACTIVE, TradingState.ACTIVE, *TradingState))),
        nav_usd=nav,
        peak_nav_usd=max(nav, D(1)) * draw(st.sampled_from((1, 2))),
        cash_usd=cash,
        positions=positions,
        prices=PRICES,
        volumes={s: D(draw(st.sampled_from((0, 1000, 10**7)))) for s in SYMBOLS},
        decided_at=AT,
    )


def plan(context: RiskContext, means: list[float], held: set[str]) -> Plan:
    forecasts = [Forecast(s, AT, m, 0.05, "1") for s, m in zip(SYMBOLS, means, strict=True) if s not in held]
    current = {s: context.current_weight(s) for s in context.positions}
    return plan_from_forecasts(context, default_rules(context.spec), current, forecasts, HISTORY, held)


def gross(context: RiskContext, quantities: dict[str, Decimal]) -> float:
    return float(sum(abs(q) * PRICES[s] for s, q in quantities.items()) / context.nav_usd)


@QUICK
@given(
    contexts().filter(lambda context: context.nav_usd > 0),
    st.lists(st.floats(-0.3, 0.3), min_size=len(SYMBOLS), max_size=len(SYMBOLS)),
    st.sets(st.sampled_from(SYMBOLS), max_size=2),
)
def test_the_orders_of_any_decision_keep_every_limit(context: RiskContext, means, held) -> None:
    spec, made = context.spec, plan(context, means, held)
    assert made == plan(context, means, held)
    assert len({order.id for order in made.orders}) == len(made.orders)
    before = {s: context.quantity(s) for s in SYMBOLS}
    after = dict(before)
    cash = context.cash_usd
    for order in made.orders:
        assert order.id == order_id("demo", AT, order.symbol, order.side, order.quantity)
        assert order.quantity > 0
        assert order.quantity % 1 == 0
        closes = before[order.symbol] + order.side.sign * order.quantity == 0
        assert closes or order.notional_usd >= spec.sizing.min_order_usd
        assert order.notional_usd <= spec.risk.max_order_notional_usd
        assert order.quantity <= context.volumes[order.symbol] * D(str(spec.risk.max_volume_pct)) / 100
        after[order.symbol] += order.side.sign * order.quantity
        costs = order.notional_usd * D(str(spec.broker.commission_bps + spec.broker.slippage_bps)) / 10_000
        cash -= order.side.sign * order.notional_usd + costs
        assert (
            order.symbol not in held or after[order.symbol] == 0 or abs(after[order.symbol]) < abs(before[order.symbol])
        )
        if abs(after[order.symbol]) > abs(before[order.symbol]):
            weight = abs(after[order.symbol]) * PRICES[order.symbol] / context.nav_usd
            assert weight <= D(str(spec.sizing.max_weight)) + D("1e-6")
            assert not (spec.sizing.long_only and order.side is Side.SELL)
    if not spec.broker.margin and any(order.side is Side.BUY for order in made.orders):
        assert cash >= -D("0.01")
    assert gross(context, after) <= max(spec.sizing.gross_limit, gross(context, before)) + 1e-6
    if context.state is TradingState.HALTED:
        assert made.orders == ()
    if context.state is TradingState.REDUCING:
        assert all(abs(after[s]) <= abs(before[s]) and after[s] * before[s] >= 0 for s in SYMBOLS)
