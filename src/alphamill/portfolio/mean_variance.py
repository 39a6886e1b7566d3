"""Mean-variance weights with linear trading costs: a quadratic program over the names that matter."""

from typing import Final

import numpy as np
import numpy.typing as npt

from alphamill.portfolio.bounds import Array, Bounds
from alphamill.portfolio.covariance import FactorCovariance
from alphamill.portfolio.segments import Segments, solve

Marks = npt.NDArray[np.bool_]

#: Less of the gross limit than this buys nothing and only spoils the program's scale.
MIN_ROOM: Final = 1e-6
#: So many segments start beside those of held names; each round may double them.
START: Final = 64
#: A program this small is solved whole: choosing would cost more.
ALL_AT_ONCE: Final = 96
#: A segment joins when moving it gains more than this, against the largest number of the objective.
MIN_GAIN: Final = 1e-9


def mean_variance(
    mean: Array,
    covariance: FactorCovariance,
    *,
    current: Array,
    limits: Bounds,
    risk_aversion: float,
    turnover_cost: float,
) -> Array:
    """Maximise ``mean'w - risk_aversion/2 w'covariance w - turnover_cost |w - current|_1`` within `limits`.

    Parameters
    ----------
    mean, covariance
        Of n names: forward returns over the horizon, as fractions. Finite; the matrix is positive definite.
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
    Markowitz (1952), "Portfolio Selection". Pinned weights are constants. Most weights of an optimum are zero:
    the program starts with the names that are held or gain most, and a name joins when its reduced cost says
    that moving it would gain (Dantzig, Wolfe 1960, "Decomposition Principle for Linear Programs"). It ends when
    none does, which is the optimality condition of the whole program.
    """
    rest: Array = np.clip(0.0, limits.lower, limits.upper)
    room = limits.gross - float(np.abs(rest).sum())
    if limits.pinned.all() or room <= MIN_ROOM:
        return rest
    risk = covariance.scaled(np.full(len(mean), np.sqrt(risk_aversion)))
    ways = Segments.of(rest, limits.lower, limits.upper, current if turnover_cost > 0 else rest)
    slope = (risk.times(rest) - mean)[ways.name] * ways.direction + turnover_cost * ways.toward
    return rest + _moves(risk, ways, slope, room, first=current[ways.name] != 0)


def _moves(risk: FactorCovariance, ways: Segments, slope: Array, room: float, first: Marks) -> Array:
    """How far each weight moves from its rest; `first` marks the segments to begin with."""
    n = len(risk.noise)
    least = MIN_GAIN * max(float(np.abs(slope).max(initial=0.0)), float(risk.variances().max()))
    taken, moved = first | _best(-slope, -slope > least, START), np.zeros(n)
    if len(slope) <= ALL_AT_ONCE:
        taken = np.ones_like(first)
    while taken.any():
        part = ways.take(taken)
        hessian = risk.block(part.name) * np.outer(part.direction, part.direction)
        along, price = solve(hessian, slope[taken], part.length, room)
        moved = part.moved(n, along)
        gain = -(slope + ways.direction * risk.times(moved)[ways.name] + price)
        wanted = (gain > least) & ~taken
        if not wanted.any():
            break
        taken = taken | _best(gain, wanted, int(taken.sum()))
    return moved


def _best(gain: Array, wanted: Marks, count: int) -> Marks:
    """The `count` largest gains among the wanted; of equal ones the first."""
    if wanted.sum() <= count:
        return wanted
    chosen = np.zeros_like(wanted)
    chosen[np.argsort(np.where(wanted, -gain, np.inf), kind="stable")[:count]] = True
    return chosen
