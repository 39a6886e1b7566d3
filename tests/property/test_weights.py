"""Target weights and target rules keep every limit, whatever comes in."""

import datetime as dt

import clarabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from alphamill.domain.decisions import Signal, TradingState
from alphamill.domain.forecasts import Forecast
from alphamill.domain.money import to_decimal
from alphamill.domain.orders import Position
from alphamill.domain.portfolios import PortfolioSpec, RiskLimits, Sizing, Universe
from alphamill.portfolio import signals, target_weights
from alphamill.portfolio.bounds import Bounds, bounds
from alphamill.portfolio.covariance import FactorCovariance
from alphamill.portfolio.mean_variance import mean_variance
from alphamill.risk import RiskContext, check_targets, default_rules

AT = dt.datetime(2012, 10, 1, 20, tzinfo=dt.UTC)
SYMBOLS = tuple("ABCDEFGH")
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


@st.composite
def problems(draw: st.DrawFn):
    n = draw(st.integers(1, 8))
    forecasts = [
        Forecast(SYMBOLS[i], AT, draw(st.floats(-0.5, 0.5)), draw(st.floats(1e-3, 0.5)), "1") for i in range(n)
    ]
    sizing = Sizing(
        method=draw(st.sampled_from(["mean_variance", "mean_variance", "mean_variance", "equal_weight", "top_k"])),
        max_weight=draw(st.floats(0.01, 1.0)),
        gross_limit=draw(st.floats(0.05, 3.0)),
        long_only=draw(st.booleans()),
        risk_aversion=draw(st.floats(0.1, 100.0)),
        turnover_penalty_bps=draw(st.sampled_from([0.0, 1.0, 10.0, 100.0])),
        top_k=draw(st.integers(1, 5)),
    )
    current = draw(st.dictionaries(st.sampled_from((*SYMBOLS, "Z")), st.floats(-1.5, 1.5), max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    common = draw(st.sampled_from([0.0, 1.0, 10.0]))
    returns = 0.01 * (rng.standard_normal((40, n)) + common * rng.standard_normal((40, 1)))
    return sizing, forecasts, current, returns


@QUICK
@given(problems())
def test_target_weights_are_finite_and_within_all_limits(problem) -> None:
    sizing, forecasts, current, returns = problem
    told = signals(forecasts, 100.0)
    weights = target_weights(
        sizing, forecasts=forecasts, signals=told, returns=returns, current=current, horizon_bars=5
    )
    assert list(weights) == [forecast.symbol for forecast in forecasts]
    lowest = 0.0 if sizing.long_only else -sizing.max_weight
    assert all(lowest <= weight <= sizing.max_weight for weight in weights.values())
    assert sum(map(abs, weights.values())) <= sizing.gross_limit + 1e-12
    if sizing.method == "mean_variance":
        for symbol, weight in weights.items():
            inside = min(max(current.get(symbol, 0.0), lowest), sizing.max_weight)
            if told[symbol] is Signal.HOLD:
                assert abs(weight) <= abs(inside) + 1e-12
            if told[symbol] is Signal.SELL and inside >= 0:
                assert weight <= inside


@QUICK
@given(problems(), st.integers(0, 2**32 - 1))
def test_no_feasible_weights_are_better_than_the_solution(problem, seed: int) -> None:
    """The defining property of the optimum, checked on random feasible points and steps toward them."""
    sizing, forecasts, current, returns = problem
    n, rng = len(forecasts), np.random.default_rng(seed)
    mean, std = np.array([f.mean for f in forecasts]), np.array([f.std for f in forecasts])
    factors = half_correlated(returns).scaled(std)
    covariance = factors.block(np.arange(n))
    held = np.array([current.get(f.symbol, 0.0) for f in forecasts])
    limits = bounds(sizing, [Signal.BUY] * n, held, sizing.gross_limit)
    cost = sizing.turnover_penalty_bps / 1e4
    found = mean_variance(
        mean, factors, current=held, limits=limits, risk_aversion=sizing.risk_aversion, turnover_cost=cost
    )

    def value(w: np.ndarray) -> float:
        return float(mean @ w - sizing.risk_aversion / 2 * w @ covariance @ w - cost * np.abs(w - held).sum())

    scale = max(sizing.risk_aversion * std.max() ** 2, np.abs(mean).max(), cost)
    for _ in range(30):
        other = rng.uniform(limits.lower, limits.upper)
        other *= min(1.0, sizing.gross_limit / max(np.abs(other).sum(), 1e-12))
        for step in (1.0, 0.1, 1e-3):
            assert value(found + step * (other - found)) <= value(found) + 1e-6 * scale


def half_correlated(returns: np.ndarray) -> FactorCovariance:
    """Half the sample correlation of `returns`, half the identity."""
    bars, n = returns.shape
    scaled = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    return FactorCovariance(np.full(n, 0.5), scaled * np.sqrt(0.5 / bars))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 120), st.booleans(), st.sampled_from([0.0, 10.0, 100.0]), st.integers(0, 2**32 - 1))
def test_the_solution_is_that_of_another_solver_on_the_plain_formulation(
    n: int, long_only: bool, penalty_bps: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizing = Sizing(
        max_weight=rng.uniform(0.01, 0.5),
        gross_limit=rng.uniform(0.2, 3.0),
        long_only=long_only,
        risk_aversion=float(np.exp(rng.uniform(0, 4))),
    )
    factors = half_correlated(rng.standard_normal((60, n)) + rng.standard_normal((60, 1)))
    factors = factors.scaled(rng.uniform(0.01, 0.1, n))
    mean, held = rng.normal(0, 0.01, n), rng.uniform(-0.1, 0.2, n) * (rng.random(n) < 0.3)
    told = [list(Signal)[kind] for kind in rng.choice(3, n)]
    limits = bounds(sizing, told, held, sizing.gross_limit)
    found = mean_variance(
        mean, factors, current=held, limits=limits, risk_aversion=sizing.risk_aversion, turnover_cost=penalty_bps / 1e4
    )
    hessian = sizing.risk_aversion * factors.block(np.arange(n))
    plain = with_helper_variables(hessian, -mean, penalty_bps / 1e4, held, limits)
    assert found == pytest.approx(plain, abs=2e-6)


def with_helper_variables(
    hessian: np.ndarray, linear: np.ndarray, cost: float, held: np.ndarray, limits: Bounds
) -> np.ndarray:
    """The textbook's program, by clarabel: t >= |w - held| and u >= |w| as variables of their own."""
    n = len(linear)
    one, none = sparse.identity(n), sparse.csc_matrix((n, n))
    rows = [[one, none, none], [-one, none, none]]
    rows += [[one, -one, none], [-one, -one, none], [one, none, -one], [-one, none, -one]]
    gross = sparse.csc_matrix(np.repeat([0.0, 0.0, 1.0], n))
    left = sparse.vstack([sparse.bmat(rows), gross]).tocsc()
    right = np.concatenate([limits.upper, -limits.lower, held, -held, np.zeros(2 * n), [limits.gross]])
    unit = max(np.abs(hessian).max(), np.abs(linear).max())
    quadratic = sparse.block_diag([np.triu(hessian) / unit, sparse.csc_matrix((2 * n, 2 * n))]).tocsc()
    options = clarabel.DefaultSettings()
    options.verbose = False
    options.max_step_fraction = 0.9  # its default can cycle where a weight ends at its current value
    options.tol_gap_abs = options.tol_gap_rel = options.tol_feas = 1e-10
    gradient = np.concatenate([linear, np.full(n, cost), np.zeros(n)]) / unit
    cones = [clarabel.NonnegativeConeT(len(right))]
    solution = clarabel.DefaultSolver(quadratic, gradient, left, right, cones, options).solve()
    assert solution.status == clarabel.SolverStatus.Solved
    return np.array(solution.x[:n])


weights_of = st.dictionaries(st.sampled_from(SYMBOLS), st.floats(-3, 3), min_size=1, max_size=8)
positions_of = st.dictionaries(
    st.sampled_from(SYMBOLS),
    st.tuples(st.integers(-100, 100).filter(bool), st.integers(20, 300)),
    max_size=6,
)


@st.composite
def contexts(draw: st.DrawFn) -> RiskContext:
    spec = PortfolioSpec(
        name="demo",
        universe=Universe(symbols=SYMBOLS),
        sizing=Sizing(max_weight=draw(st.floats(0.05, 1)), long_only=draw(st.booleans())),
        risk=RiskLimits(max_turnover_pct=draw(st.floats(1, 300)), max_drawdown_pct=draw(st.floats(5, 60))),
    )
    positions = {s: Position(s, to_decimal(q), to_decimal(p)) for s, (q, p) in draw(positions_of).items()}
    return RiskContext(
        spec=spec,
        state=draw(st.sampled_from(TradingState)),
        nav_usd=to_decimal(10_000),
        peak_nav_usd=to_decimal(draw(st.integers(10_000, 20_000))),
        cash_usd=to_decimal(0),
        positions=positions,
        prices=dict.fromkeys(SYMBOLS, to_decimal(100)),
        volumes={},
        decided_at=AT,
    )


@QUICK
@given(contexts(), weights_of)
def test_target_rules_never_raise_a_target_and_end_within_the_limits(context: RiskContext, weights) -> None:
    after, results = check_targets(default_rules(context.spec), context, weights)
    assert set(weights) <= set(after)
    for symbol, weight in after.items():
        before = weights.get(symbol, 0.0)
        assert abs(weight) <= abs(before) + 1e-12
        assert weight * before >= 0
        assert abs(weight) <= context.spec.sizing.max_weight + 1e-9
    untouched = sum(abs(context.current_weight(s)) for s in context.positions if s not in weights)
    room = max(context.spec.sizing.gross_limit - untouched, 0.0)
    assert sum(map(abs, after.values())) <= room + 1e-6
    assert {result.rule for result in results} == {rule.name for rule in default_rules(context.spec).targets}
    if context.state is not TradingState.ACTIVE:
        assert all(abs(w) <= abs(context.current_weight(s)) for s, w in after.items())
