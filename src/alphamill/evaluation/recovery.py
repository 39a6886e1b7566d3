"""Does the pipeline learn what is there, no less and no more? Measured coefficients against a known one."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alphamill.errors import DataUnfit, InvalidInput
from alphamill.evaluation.records import Record
from alphamill.evaluation.statistics import newey_west_error, newey_west_lags

FloatArray = npt.NDArray[np.float64]
SHUFFLED_T: Final = 2.0
_CHANCE: Final = 0.001


class Recovery(Record):
    """A coefficient averaged over independent runs, and the band around it that must hold the known one.

    `t` is that of the mean against 0.
    """

    name: str
    known: float
    recovered: float
    low: float
    high: float
    t: float
    runs: int
    days: int

    @property
    def holds(self) -> bool:
        """The known value lies in the band: nothing was lost, nothing leaked."""
        return self.low <= self.known <= self.high

    @property
    def verdict(self) -> str:
        """What a miss means."""
        if self.holds:
            return "in the band"
        return "signal lost" if self.high < self.known else "leak"


class Shuffled(Record):
    """t statistics of runs whose labels say nothing.

    `beyond` of them are above 2 in size; by chance up to `allowed` of so many are, with 99.9 % probability.
    """

    t: tuple[float, ...]
    beyond: int
    allowed: int = Field(ge=0)

    @property
    def holds(self) -> bool:
        return self.beyond <= self.allowed


def degrees_of_freedom(observations: int, horizon_bars: int) -> float:
    """Equivalent degrees of freedom of the Bartlett window's long-run variance: 1.5 n / (L + 1).

    Priestley (1981), "Spectral Analysis and Time Series", table 6.2: 3 n / (2 M) for a Bartlett window of width M.
    A wide window costs degrees of freedom: a normal quantile would make the band too narrow.
    """
    return 1.5 * observations / (newey_west_lags(observations, horizon_bars) + 1)


def recovery(
    name: str, known: float, runs: Sequence[FloatArray], *, horizon_bars: int, confidence: float = 0.95, rows: int = 1
) -> Recovery:
    """Compare daily coefficients of independent runs with the value that theory gives for their mean.

    The error of a run's mean is `newey_west_error`, as labels that overlap make neighbouring days alike; errors of
    independent runs add in squares. The band is mean +- q error, q the quantile of Student's t with the
    `degrees_of_freedom` of all runs together.

    Parameters
    ----------
    runs
        Daily coefficients of each run, shape (days,), finite, in time order.
    rows
        How many bands are judged together: each is widened so that all hold with probability `confidence`
        (Sidak 1967).

    Raises
    ------
    DataUnfit
        A run has no spread that could be estimated.
    InvalidInput
        No runs, or a confidence outside (0, 1).
    """
    if not runs or not 0.0 < confidence < 1.0 or rows < 1:
        raise InvalidInput(f"{len(runs)} runs, confidence {confidence}, rows {rows}.", field="runs")
    errors = [newey_west_error(run, horizon_bars=horizon_bars) for run in runs]
    known_errors = [error for error in errors if error is not None]
    if len(known_errors) < len(runs):
        raise DataUnfit("a run's coefficients have no spread.", field="runs", remedy="Take more days or names.")
    from scipy.stats import t as student

    mean = float(np.mean([run.mean() for run in runs]))
    error = math.sqrt(sum(e**2 for e in known_errors)) / len(runs)
    freedom = sum(degrees_of_freedom(len(run), horizon_bars) for run in runs)
    reach = float(student.ppf(0.5 + confidence ** (1.0 / rows) / 2.0, freedom)) * error
    return Recovery(
        name=name,
        known=known,
        recovered=mean,
        low=mean - reach,
        high=mean + reach,
        t=mean / error,
        runs=len(runs),
        days=sum(len(run) for run in runs),
    )


def shuffled(t_values: Sequence[float], *, days: int, horizon_bars: int) -> Shuffled:
    """Count |t| > 2 among runs without signal, and how many chance allows.

    Under no signal t has Student's distribution with `degrees_of_freedom`, so |t| > 2 has a known rate; `allowed` is
    the 99.9 % quantile of the binomial count at that rate.
    """
    from scipy.stats import binom
    from scipy.stats import t as student

    rate = 2.0 * float(student.sf(SHUFFLED_T, degrees_of_freedom(days, horizon_bars)))
    allowed = int(binom.ppf(1.0 - _CHANCE, len(t_values), rate))
    beyond = sum(abs(t) > SHUFFLED_T for t in t_values)
    return Shuffled(t=tuple(t_values), beyond=beyond, allowed=allowed)
