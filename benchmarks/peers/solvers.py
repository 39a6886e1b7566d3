"""The quadratic program of target weights, prepared, for solvers without us. Each gives a function to be timed.

The program: maximise mean'w - g/2 w'Sw - cost |w - current|_1 with lower <= w <= upper and |w|_1 <= gross.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Solve = Callable[[], np.ndarray]
_TOLERANCE = 1e-10
_OSQP_TOLERANCE = 1e-6


def piqp_on_segments(mean: Any, factors: Any, current: Any, limits: Any, aversion: float, cost: float) -> Solve:
    """All segments of all names: a box, one row, a dense matrix."""
    import piqp

    hessian, linear, length, room, weights_of = _segments(mean, factors, current, limits, aversion, cost)
    rows = np.ones((1, len(linear)), order="F")
    lower, upper = np.zeros_like(length), np.array([room])

    def solve() -> np.ndarray:
        solver = _configured(piqp.DenseSolver())
        solver.setup(hessian, linear, G=rows, h_u=upper, x_l=lower, x_u=length)
        solver.solve()
        return weights_of(solver.result.x)

    return solve


def piqp_on_textbook(mean: Any, factors: Any, current: Any, limits: Any, aversion: float, cost: float) -> Solve:
    """Over (w, t) with t >= |w - current|, sparse; weights of one sign need no variable for their sum."""
    import piqp
    from scipy import sparse

    n = len(mean)
    hessian = aversion * factors.block(np.arange(n))
    unit = np.abs(hessian).max()
    one = sparse.identity(n)
    rows = sparse.bmat([[one, -one], [-one, -one], [np.ones((1, n)), None]], format="csc")
    upper = np.concatenate([current, -current, [limits.gross]])
    quadratic = sparse.block_diag([hessian / unit, sparse.csc_matrix((n, n))], format="csc")
    linear = np.concatenate([-mean, np.full(n, cost)]) / unit
    free = np.full(n, 1e30)
    x_l, x_u = np.concatenate([limits.lower, -free]), np.concatenate([limits.upper, free])

    def solve() -> np.ndarray:
        solver = _configured(piqp.SparseSolver())
        solver.setup(quadratic, linear, G=rows, h_u=upper, x_l=x_l, x_u=x_u)
        solver.solve()
        return np.array(solver.result.x[:n])

    return solve


def osqp_on_segments(mean: Any, factors: Any, current: Any, limits: Any, aversion: float, cost: float) -> Solve:
    """As `piqp_on_segments`, by operator splitting, to a tolerance of 1e-6."""
    import osqp
    from scipy import sparse

    hessian, linear, length, room, weights_of = _segments(mean, factors, current, limits, aversion, cost)
    m = len(linear)
    triangle = sparse.triu(hessian, format="csc")
    rows = sparse.vstack([sparse.identity(m), np.ones((1, m))], format="csc")
    lower, upper = np.append(np.zeros(m), -np.inf), np.append(length, room)
    options = {"eps_abs": _OSQP_TOLERANCE, "eps_rel": _OSQP_TOLERANCE, "max_iter": 50_000, "verbose": False}

    def solve() -> np.ndarray:
        solver = osqp.OSQP()
        solver.setup(triangle, linear, rows, lower, upper, **options)
        return weights_of(solver.solve().x)

    return solve


def skfolio_mean_risk(
    mean: Any, factors: Any, current: Any, limits: Any, aversion: float, cost: float, *, returns: np.ndarray
) -> Solve:
    """`MeanRisk` with mean and covariance given, and the limit of the sum of absolute weights as an own constraint."""
    from skfolio.optimization import MeanRisk, ObjectiveFunction
    from skfolio.prior import BasePrior, ReturnDistribution

    covariance = factors.block(np.arange(len(mean)))

    class Given(BasePrior):
        """What the model says, as it is."""

        def __init__(self) -> None:
            pass

        def fit(self, X: np.ndarray, y: object = None, **_: object) -> "Given":  # noqa: N803 - its name in skfolio
            self.return_distribution_ = ReturnDistribution(mu=mean, covariance=covariance, returns=np.asarray(X))
            return self

    def gross_limit(w: Any, estimator: object) -> list[Any]:
        import cvxpy

        return [cvxpy.norm1(w) <= limits.gross]

    model = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=aversion / 2,
        prior_estimator=Given(),
        min_weights=limits.lower,
        max_weights=limits.upper,
        budget=None,
        transaction_costs=cost,
        previous_weights=current,
        add_constraints=gross_limit,
    )

    def solve() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(model.fit(returns).weights_)

    return solve


def _segments(mean: Any, factors: Any, current: Any, limits: Any, aversion: float, cost: float) -> tuple[Any, ...]:
    """Hessian, linear part, lengths, room, and how to get weights from a solution."""
    from alphamill.portfolio.segments import Segments

    rest = np.clip(0.0, limits.lower, limits.upper)
    ways = Segments.of(rest, limits.lower, limits.upper, current)
    hessian = aversion * factors.block(ways.name) * np.outer(ways.direction, ways.direction)
    slope = (aversion * factors.times(rest) - mean)[ways.name] * ways.direction + cost * ways.toward
    unit = max(np.abs(hessian).max(), np.abs(slope).max())
    room = limits.gross - np.abs(rest).sum()

    def weights_of(along: np.ndarray) -> np.ndarray:
        return rest + ways.moved(len(mean), np.asarray(along))

    return np.asfortranarray(hessian / unit), slope / unit, ways.length, room, weights_of


def _configured(solver: Any) -> Any:
    settings = solver.settings
    settings.eps_abs = settings.eps_rel = _TOLERANCE
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = _TOLERANCE
    return solver
