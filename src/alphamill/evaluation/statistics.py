"""How much a Sharpe ratio or a mean of dependent values is worth. All Sharpe ratios here are per period.

Kurtosis is never excess: a normal variable has 3.
"""

import math
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from alphamill.errors import DataUnfit, InvalidInput

FloatArray = npt.NDArray[np.float64]
_EULER_GAMMA: Final = 0.5772156649015329


def _positive(name: str, value: float, least: float) -> None:
    if not math.isfinite(value) or value < least:
        raise InvalidInput(f"{name} is {value}.", field=name, remedy=f"Give a finite number >= {least:g}.")


def newey_west_lags(observations: int, horizon_bars: int) -> int:
    """Lags of the Bartlett window: the larger of ceil(1.3 sqrt(n)) and horizon - 1, below n.

    1.3 sqrt(n) is the rule of Lazarus, Lewis, Stock and Watson (2018, "HAR Inference"), wider than the
    textbook 4 (n/100)^(2/9). Labels of horizon h overlap, so daily ICs follow an MA(h-1); a narrow Bartlett window
    shrinks those autocovariances and reports t values that are too large.
    """
    return max(0, min(observations - 1, max(math.ceil(1.3 * math.sqrt(observations)), horizon_bars - 1)))


def newey_west_error(values: FloatArray, *, horizon_bars: int) -> float | None:
    """Standard error of the mean of a dependent series.

    sqrt(S / n), S = g0 + 2 sum_{l=1..L} (1 - l/(L+1)) g_l, with autocovariances
    g_l = (1/n) sum_t (x_t - mean)(x_{t-l} - mean): Newey and West (1987); L from `newey_west_lags`. Closed form:
    1, 2, 4 (two lags) has g = 14/9, -1/27, -20/27, so S = 82/81 and the error is sqrt(82/243).

    Parameters
    ----------
    values
        Shape (n,), in time order, finite.
    horizon_bars
        Bars over which neighbouring labels overlap.

    Returns
    -------
    float or None
        None where no spread can be estimated: fewer than three values, or all equal.
    """
    if not np.isfinite(values).all():
        raise DataUnfit("the series holds values that are not finite.", field="values", remedy="Drop undefined days.")
    n = len(values)
    if n < 3 or float(np.ptp(values)) == 0.0:
        return None
    centred = values - values.mean()
    lags = newey_west_lags(n, horizon_bars)
    covariances = np.array([centred[lag:] @ centred[: n - lag] for lag in range(lags + 1)]) / n
    weights = 1.0 - np.arange(1, lags + 1) / (lags + 1)
    variance = float(covariances[0] + 2.0 * weights @ covariances[1:])
    # Bartlett weights keep this >= 0 in exact arithmetic; rounding of a nearly periodic series may not.
    if variance <= 1e-12 * float(covariances[0]):
        return None
    return math.sqrt(variance / n)


def newey_west_t(values: FloatArray, *, horizon_bars: int) -> float | None:
    """t statistic of the mean of a dependent series: the mean over `newey_west_error`, None where that is None.

    Simulated sums of h shocks without a mean, 1,000 days: |t| > 2 in 6.2 % (h 1), 6.6 % (h 5), 8.2 % (h 21) of runs;
    8.7 % for 250 days and h 5.
    """
    error = newey_west_error(values, horizon_bars=horizon_bars)
    return None if error is None else float(values.mean()) / error


def sharpe_variance(sharpe: float, *, observations: int, skew: float, kurtosis: float) -> float:
    """Sampling variance of a Sharpe ratio: (1 - skew SR + (kurtosis - 1)/4 SR^2) / (n - 1).

    Mertens (2002), as used by Bailey and Lopez de Prado (2012, equation 8). Closed form: (1 + SR^2 / 2) / (n - 1) for
    normal returns (Lo 2002).
    """
    _positive("observations", observations, 2)
    spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not math.isfinite(spread) or spread <= 0.0:
        raise InvalidInput(
            f"skew {skew} and kurtosis {kurtosis} belong to no distribution.",
            field="kurtosis",
            remedy="Give the kurtosis itself (3 for a normal), not the excess; it is at least 1 + skew squared.",
        )
    return spread / (observations - 1)


def probabilistic_sharpe(
    sharpe: float, *, benchmark: float = 0.0, observations: int, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Probability that the true Sharpe ratio is above `benchmark`.

    PSR = Phi((SR - SR*) / sqrt(sharpe_variance)): Bailey and Lopez de Prado (2012), "The Sharpe Ratio Efficient
    Frontier". Worked example there: 24 months, SR 1.59 a year, skew -2.448, kurtosis 10.164: 0.982 if
    normal, 0.913 as it is.
    """
    spread = sharpe_variance(sharpe, observations=observations, skew=skew, kurtosis=kurtosis)
    return float(ndtr((sharpe - benchmark) / math.sqrt(spread)))


def expected_maximum_sharpe(trials: int, *, trial_sharpe_std: float) -> float:
    """Sharpe ratio that the best of `trials` worthless strategies is expected to show.

    std ((1 - g) z(1 - 1/N) + g z(1 - 1/(N e))), g Euler's constant, z the normal quantile: Bailey and
    Lopez de Prado (2014, equation 6). One trial: 0. Worked example there: N 100, variance 1/2 a year
    over 250 days: 0.1132 per day.
    """
    _positive("trials", trials, 1)
    _positive("trial_sharpe_std", trial_sharpe_std, 0)
    if trials == 1:
        return 0.0
    first, second = ndtri(1.0 - 1.0 / trials), ndtri(1.0 - 1.0 / (trials * math.e))
    return float(trial_sharpe_std * ((1.0 - _EULER_GAMMA) * first + _EULER_GAMMA * second))


def deflated_sharpe(
    sharpe: float,
    *,
    trials: int,
    observations: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    trial_sharpe_std: float | None = None,
) -> float:
    """Probability that the true Sharpe ratio is above what luck alone yields over all trials.

    `probabilistic_sharpe` against `expected_maximum_sharpe`: Bailey and Lopez de Prado (2014), "The Deflated Sharpe
    Ratio". Worked example there: SR 2.5 a year, 1,250 days, skew -3, kurtosis 10, N 100, variance 1/2: 0.9004.

    Parameters
    ----------
    trial_sharpe_std
        Standard deviation of the trials' Sharpe ratios, per period. None: that of trials without any skill,
        sqrt(1 / (observations - 1)), for searches that did not score trials by Sharpe ratio.
    """
    _positive("observations", observations, 2)
    spread = math.sqrt(1.0 / (observations - 1)) if trial_sharpe_std is None else trial_sharpe_std
    benchmark = expected_maximum_sharpe(trials, trial_sharpe_std=spread)
    return probabilistic_sharpe(sharpe, benchmark=benchmark, observations=observations, skew=skew, kurtosis=kurtosis)


def minimum_track_record(
    sharpe: float, *, benchmark: float = 0.0, skew: float = 0.0, kurtosis: float = 3.0, confidence: float = 0.95
) -> float | None:
    """Observations needed before `sharpe` is above `benchmark` with `confidence`; None if it is not above.

    1 + (1 - skew SR + (kurtosis - 1)/4 SR^2) (z / (SR - SR*))^2: Bailey and Lopez de Prado (2012, equation 11).
    Worked example there: SR 2 against 1 a year, normal, daily: 2.73 years.
    """
    if not 0.5 < confidence < 1.0:
        raise InvalidInput(f"confidence is {confidence}.", field="confidence", remedy="Give a part between 0.5 and 1.")
    if sharpe <= benchmark:
        return None
    spread = sharpe_variance(sharpe, observations=2, skew=skew, kurtosis=kurtosis)
    return float(1.0 + spread * (ndtri(confidence) / (sharpe - benchmark)) ** 2)
