"""Mean-variance weights with linear trading costs: one small quadratic program, solved directly."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from alphamill.errors import DataUnfit
from alphamill.portfolio.bounds import Array, Bounds

TOLERANCE = 1e-10
#: The solver's default of 0.99 can cycle for ever where a weight ends exactly at its current value.
STEP_FRACTIONS = (0.9, 0.6)
MAX_ITERATIONS = 100
#: Less of the gross limit than this buys nothing and only spoils the program's scale.
MIN_ROOM = 1e-6


def mean_variance(
    mean: Array, covariance: Array, *, current: Array, limits: Bounds, risk_aversion: float, turnover_cost: float
) -> Array:
    """Maximise ``mean'w - risk_aversion/2 w'covariance w - turnover_cost |w - current|_1`` within `limits`.

    Parameters
    ----------
    mean, covariance
        Shapes (n,) and (n, n): forward returns over the horizon, as fractions. Finite; the matrix is
        positive definite.
    current
        Shape (n,), fractions of NAV; may lie outside the limits.
    turnover_cost
        Fraction charged per unit of turnover.

    Returns
    -------
    ndarray of float64, shape (n,)
        As the solver left it: equal to the optimum within about 1e-7; not yet cut to the limits.

    Raises
    ------
    DataUnfit
        The solver did not converge.

    Notes
    -----
    Markowitz (1952), "Portfolio Selection"; the absolute values enter through variables that bound them
    from above. Pinned weights are constants and leave the program.
    """
    free = ~limits.pinned
    weights = np.where(free, 0.0, limits.lower)
    room = max(limits.gross - float(np.abs(weights).sum()), 0.0)
    if not free.any() or room <= MIN_ROOM:
        return weights
    linear = risk_aversion * covariance[np.ix_(free, ~free)] @ weights[~free] - mean[free]
    quadratic = risk_aversion * covariance[np.ix_(free, free)]
    # Returns over days are small numbers; the solver's tolerances mean something near one.
    unit = max(float(np.abs(quadratic).max()), float(np.abs(linear).max()), turnover_cost)
    box = limits.lower[free], limits.upper[free]
    weights[free] = _solve(quadratic / unit, linear / unit, turnover_cost / unit, current[free], box, room)
    return weights


def _solve(
    quadratic: Array, linear: Array, cost: float, current: Array, box: tuple[Array, Array], room: float
) -> Array:
    """Over x = (w, t, u) with t >= |w - current| if trading costs, u >= |w| if shorts are allowed."""
    import clarabel

    n, (lower, upper) = len(linear), box
    costly, shorts = cost > 0, bool((lower < 0).any())
    extra = n * (costly + shorts)
    gradient = np.concatenate([linear, np.full(n if costly else 0, cost), np.zeros(n if shorts else 0)])
    moves = [current, -current] if costly else []
    right = np.concatenate([upper, -lower, *moves, np.zeros(2 * n if shorts else 0), np.array([room])])
    rows = _rows(n, costly, shorts)
    program = _hessian(quadratic, extra), gradient, rows, right, [clarabel.NonnegativeConeT(rows.shape[0])]
    for step_fraction in STEP_FRACTIONS:
        solution = clarabel.DefaultSolver(*program, _settings(step_fraction)).solve()
        found = np.asarray(solution.x[:n], dtype=np.float64)
        if solution.status == clarabel.SolverStatus.Solved and np.isfinite(found).all():
            return found
    raise DataUnfit(
        f"the weights of {n} symbols did not converge: {solution.status}.",
        field="forecasts",
        remedy="Positions are held; look at the forecasts' means and standard deviations.",
    )


def _hessian(quadratic: Array, extra: int) -> Any:
    """Upper triangle by columns, as the solver wants it; the helper variables have no curvature."""
    from scipy import sparse

    n = len(quadratic)
    columns, rows = np.tril_indices(n)
    starts = np.concatenate([np.cumsum(np.arange(n + 1)), np.full(extra, n * (n + 1) // 2)])
    return sparse.csc_matrix((quadratic[rows, columns], rows, starts), shape=(n + extra, n + extra))


@lru_cache(maxsize=64)
def _rows(n: int, costly: bool, shorts: bool) -> Any:
    """Left side of A x <= b: pairs of rows (w <= ., -w <= .) for the box, for t, for u; last the gross sum.

    The matrix depends on the shape of the program only, so it is built once.
    """
    from scipy import sparse

    pairs = 1 + costly + shorts
    i = np.arange(n)[:, None]
    gross = np.full((n, 1), 2 * n * pairs)

    def pair(block: int) -> npt.NDArray[np.int64]:
        return np.hstack([i + 2 * n * block, i + 2 * n * block + n])

    columns = [(np.hstack([pair(block) for block in range(pairs)]), [1.0, -1.0] * pairs)]
    if costly:
        columns.append((pair(1), [-1.0, -1.0]))
    if shorts:
        columns.append((np.hstack([pair(pairs - 1), gross]), [-1.0, -1.0, 1.0]))
    else:
        columns[0] = (np.hstack([columns[0][0], gross]), [*columns[0][1], 1.0])
    indices = np.concatenate([rows.ravel() for rows, _ in columns])
    values = np.concatenate([np.tile(entries, n) for _, entries in columns])
    counts = np.concatenate([np.full(n, len(entries)) for _, entries in columns])
    starts = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csc_matrix((values, indices, starts), shape=(2 * n * pairs + 1, len(counts)))


def _settings(step_fraction: float) -> Any:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    # One thread and no clock: the same input gives the same bits.
    settings.max_threads = 1
    # The program is scaled already, and its rows hold only ones.
    settings.equilibrate_enable = False
    settings.max_step_fraction = step_fraction
    settings.max_iter = MAX_ITERATIONS
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = TOLERANCE
    return settings
