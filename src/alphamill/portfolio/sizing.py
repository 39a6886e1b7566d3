"""From forecasts and signals to target weights, by the method the portfolio names."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from alphamill.domain.decisions import Signal
from alphamill.domain.forecasts import Forecast
from alphamill.domain.portfolios import Sizing
from alphamill.errors import DataUnfit
from alphamill.portfolio.bounds import UNITS, Array, bounds, clean, toward_zero
from alphamill.portfolio.correlation import shrunk_correlation
from alphamill.portfolio.mean_variance import mean_variance


@dataclass(frozen=True, slots=True)
class SizingProblem:
    """What a method may use. Arrays are in the order of `forecasts`; `gross` is what sizing may use of the limit."""

    sizing: Sizing
    forecasts: Sequence[Forecast]
    signals: Sequence[Signal]
    returns: npt.NDArray[np.float64]
    current: Array
    gross: float
    horizon_bars: int


#: A method gives one weight per forecast, shape (n,).
SizingMethod = Callable[[SizingProblem], Array]


def target_weights(
    sizing: Sizing,
    *,
    forecasts: Sequence[Forecast],
    signals: Mapping[str, Signal],
    returns: npt.NDArray[np.float64],
    current: Mapping[str, float],
    horizon_bars: int,
) -> dict[str, float]:
    """Target weights of the forecast symbols, as fractions of NAV.

    Parameters
    ----------
    sizing
        Method and limits.
    forecasts
        One per symbol; finite means, standard deviations above zero.
    signals
        By symbol. Only `mean_variance` heeds them: HOLD keeps the weight, SELL does not raise it.
    returns
        Shape (bars, n), adjusted daily returns in the order of `forecasts`. Only `mean_variance` reads it.
    current
        Weights held now, also of symbols without a forecast: those use up their part of the gross limit.
    horizon_bars
        What the forecasts span.

    Returns
    -------
    dict of float
        One finite weight per forecast, a multiple of 1e-6, within the limits of `sizing`.

    Raises
    ------
    DataUnfit
        A forecast, weight or return is not finite, or the solver did not converge: hold the positions.
    """
    if not forecasts:
        return {}
    _require_sound(forecasts, current)
    symbols = [forecast.symbol for forecast in forecasts]
    asked = set(symbols)
    others = sum(abs(weight) for symbol, weight in current.items() if symbol not in asked)
    problem = SizingProblem(
        sizing=sizing,
        forecasts=forecasts,
        signals=[signals[symbol] for symbol in symbols],
        returns=returns,
        current=np.array([current.get(symbol, 0.0) for symbol in symbols], dtype=np.float64),
        gross=max(sizing.gross_limit - others, 0.0),
        horizon_bars=horizon_bars,
    )
    return dict(zip(symbols, METHODS[sizing.method](problem).tolist(), strict=True))


def _by_mean_variance(problem: SizingProblem) -> Array:
    """S = D C D: the model's standard deviations around the shrunk correlation of past returns."""
    sizing = problem.sizing
    limits = bounds(sizing, problem.signals, problem.current, problem.gross)
    # One thread: the sums are too short for more, and their last digit must not depend on how many there are.
    with _linear_algebra().limit(limits=1):
        correlation = shrunk_correlation(problem.returns, [forecast.symbol for forecast in problem.forecasts])
        weights = mean_variance(
            np.array([forecast.mean for forecast in problem.forecasts]),
            correlation.scaled(np.array([forecast.std for forecast in problem.forecasts])),
            current=problem.current,
            limits=limits,
            risk_aversion=sizing.risk_aversion,
            turnover_cost=sizing.turnover_penalty_bps / 10_000,
        )
    return clean(weights, limits)


@cache
def _linear_algebra() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded by now; finding them takes milliseconds."""
    return ThreadpoolController()


def _equal_weight(problem: SizingProblem) -> Array:
    """1/n of NAV each."""
    n = len(problem.forecasts)
    return np.full(n, _equal_part(problem, n))


def _top_k(problem: SizingProblem) -> Array:
    """The k highest means hold 1/k of NAV each, the rest nothing; ties go to the first symbol by name."""
    ranked = sorted(range(len(problem.forecasts)), key=lambda i: _rank(problem.forecasts[i]))
    chosen = ranked[: problem.sizing.top_k]
    weights = np.zeros(len(problem.forecasts))
    weights[chosen] = _equal_part(problem, len(chosen))
    return weights


def _rank(forecast: Forecast) -> tuple[float, str]:
    return -forecast.mean, forecast.symbol


def _equal_part(problem: SizingProblem, n: int) -> float:
    """1/n within the limits, rounded down to 1e-6 so that n of them fit."""
    part = min(1.0 / n, problem.sizing.max_weight, problem.gross / n)
    return float(toward_zero(np.array(part)) / UNITS)


#: A further method is a function here and its name in `Sizing.method`.
METHODS: dict[str, SizingMethod] = {
    "mean_variance": _by_mean_variance,
    "equal_weight": _equal_weight,
    "top_k": _top_k,
}


def _require_sound(forecasts: Sequence[Forecast], current: Mapping[str, float]) -> None:
    for forecast in forecasts:
        if not (isfinite(forecast.mean) and isfinite(forecast.std) and forecast.std > 0):
            raise DataUnfit(
                f"{forecast.symbol} has forecast mean {forecast.mean}, std {forecast.std}.",
                field=forecast.symbol,
                remedy="Roll the model back; its answers must be finite with a std above zero.",
            )
    for symbol, weight in current.items():
        if not isfinite(weight):
            raise DataUnfit(f"{symbol} has the weight {weight}.", field=symbol, remedy="Settle its position first.")
