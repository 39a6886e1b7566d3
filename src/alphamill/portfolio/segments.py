"""The quadratic program of a set of names, with every kink of its costs taken out."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from alphamill.errors import DataUnfit
from alphamill.portfolio.bounds import Array
from alphamill.portfolio.covariance import Index

TOLERANCE: Final = 1e-10
MAX_ITERATIONS: Final = 200
#: A shorter way is less than the rounding of weights and only spoils the program's scale.
_SHORTEST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Segments:
    """The ways a weight can move away from where it rests, each with one cost.

    A weight rests where it is smallest in absolute value. From there it moves up or down, and each way is cut
    at the current weight: going toward that saves trading costs, going past it pays them. Costs grow along each
    way, so a solver fills the parts in order by itself: the absolute values of the objective and of the gross
    limit become plain sums, without helper variables and their rows.

    Parameters
    ----------
    name
        Shape (m,): which weight moves.
    direction
        Shape (m,): +1 or -1.
    length
        Shape (m,): how far at most, > 0.
    toward
        Shape (m,): -1 toward the current weight, +1 away from it.
    """

    name: Index
    direction: Array
    length: Array
    toward: Array

    @classmethod
    def of(cls, rest: Array, lower: Array, upper: Array, current: Array) -> Self:
        """All segments of n weights; each array has shape (n,) and lower <= rest <= upper."""
        kink = np.clip(current, lower, upper)
        lengths = (kink - rest, upper - np.maximum(kink, rest), rest - kink, np.minimum(kink, rest) - lower)
        part, name = np.nonzero(np.stack(lengths) > _SHORTEST)
        return cls(
            name,
            np.array([1.0, 1.0, -1.0, -1.0])[part],
            np.stack(lengths)[part, name],
            np.array([-1.0, 1.0, -1.0, 1.0])[part],
        )

    def take(self, marked: npt.NDArray[np.bool_]) -> "Segments":
        """Some of the segments."""
        return Segments(self.name[marked], self.direction[marked], self.length[marked], self.toward[marked])

    def moved(self, n: int, along: Array) -> Array:
        """What n weights move when each segment is used as far as `along` says."""
        total: Array = np.zeros(n)
        np.add.at(total, self.name, self.direction * along)
        return total


def solve(quadratic: Array, linear: Array, length: Array, room: float) -> tuple[Array, float]:
    """Minimise ``x'quadratic x / 2 + linear'x`` over 0 <= x <= length with sum(x) <= room.

    Parameters
    ----------
    quadratic
        Shape (m, m), positive semidefinite.
    linear, length
        Shape (m,).

    Returns
    -------
    x, price
        The solution, shape (m,), and what one more unit of room is worth.

    Raises
    ------
    DataUnfit
        The solver did not converge.
    """
    import piqp

    # Returns over days are small numbers; the solver's tolerances mean something near one.
    unit = max(float(np.abs(quadratic).max()), float(np.abs(linear).max()))
    m = len(linear)
    solver = piqp.DenseSolver()
    _configure(solver.settings)
    solver.setup(
        np.asfortranarray(quadratic / unit),
        linear / unit,
        G=np.ones((1, m), order="F"),
        h_u=np.array([room]),
        x_l=np.zeros(m),
        x_u=length,
    )
    status = solver.solve()
    found = np.array(solver.result.x)
    if status != piqp.PIQP_SOLVED or not np.isfinite(found).all():
        raise DataUnfit(
            f"the weights of {m} symbols did not converge: {status}.",
            field="forecasts",
            remedy="Positions are held; look at the forecasts' means and standard deviations.",
        )
    return found, float(solver.result.z_u[0]) * unit


def _configure(settings: Any) -> None:
    settings.max_iter = MAX_ITERATIONS
    settings.num_threads = 1
    settings.eps_abs = settings.eps_rel = TOLERANCE
    settings.eps_duality_gap_abs = settings.eps_duality_gap_rel = TOLERANCE
