"""What a NAV curve earned, at what risk."""

import datetime as dt
import math

import numpy as np
import numpy.typing as npt
import polars as pl

from alphamill.errors import InvalidInput
from alphamill.evaluation.panels import checked_nav
from alphamill.evaluation.records import Record


class Performance(Record):
    """What `performance` measured; returns and drawdowns are fractions, not percent.

    sharpe = mean / std (ddof 1) sqrt(periods_per_year), risk-free rate 0; sortino has sqrt(mean(min(r, 0)^2)) below the
    line; calmar = cagr / max_drawdown. Each is None where its denominator is 0; cagr is None where a year of such
    growth is no float any more (a short, steep curve). `volatility` is per year.
    `max_drawdown` is positive, 1 - NAV / highest NAV so far, from the peak `drawdown_from` to the trough
    `drawdown_until` (both None if the NAV never fell). `hit_rate` is the share of periods with a return > 0.
    `turnover_per_year` is traded notional, buys plus sells, over the mean NAV, per year; None if not given.
    `skew` and `kurtosis` (3 for a normal) are of the periodic returns, None for a constant curve.

    Closed forms: n returns (n even) that alternate between a and b have sharpe
    (a + b) / |a - b| sqrt((n - 1) / n) sqrt(periods_per_year), skew 0 and kurtosis 1; a portfolio sold and bought anew
    once a year has turnover 2. Worked examples: sortino 4.417 for yearly returns of 17, 15, 23, -5, 12, 9, 13 and
    -4 % (Rollinger and Hoffman 2013, "Sortino: A Sharper Ratio"); max_drawdown 53.33 % for 500, 750, 400, 600, 350,
    800 thousand (Investopedia, "Maximum Drawdown"). Sharpe (1994), "The Sharpe Ratio"; sqrt(periods) after Lo (2002).
    """

    first_at: dt.datetime
    last_at: dt.datetime
    periods: int
    periods_per_year: int
    final_nav_usd: float
    total_return: float
    cagr: float | None
    volatility: float
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    drawdown_from: dt.datetime | None
    drawdown_until: dt.datetime | None
    calmar: float | None
    hit_rate: float
    skew: float | None
    kurtosis: float | None
    turnover_per_year: float | None
    commission_usd: float | None

    @property
    def sharpe_per_period(self) -> float | None:
        """The Sharpe ratio that `alphamill.evaluation.statistics` takes."""
        return None if self.sharpe is None else self.sharpe / math.sqrt(self.periods_per_year)


def drawdown_curve(nav: pl.DataFrame) -> pl.DataFrame:
    """(at, drawdown): NAV / highest NAV so far - 1, so 0 or negative. Errors as `checked_nav`."""
    nav_usd = pl.col("nav_usd")
    return checked_nav(nav).select("at", (nav_usd / nav_usd.cum_max() - 1.0).alias("drawdown"))


def periodic_returns(nav: pl.DataFrame) -> pl.DataFrame:
    """(at, return): simple returns between neighbouring points, one row fewer than `nav`. Errors as `checked_nav`."""
    return checked_nav(nav).select("at", pl.col("nav_usd").pct_change().alias("return")).slice(1)


def _worst(curve: pl.DataFrame) -> tuple[float, dt.datetime | None, dt.datetime | None]:
    nav = curve["nav_usd"].to_numpy()
    drawdown = 1.0 - nav / np.maximum.accumulate(nav)
    trough = int(drawdown.argmax())
    if drawdown[trough] == 0.0:
        return 0.0, None, None
    peak = int(nav[: trough + 1].argmax())
    return float(drawdown[trough]), curve["at"][peak], curve["at"][trough]


def _moment(returns: npt.NDArray[np.float64], order: int) -> float:
    return float((((returns - returns.mean()) / returns.std()) ** order).mean())


def _ratio(value: float | None, below: float) -> float | None:
    return value / below if value is not None and below > 0.0 else None


def performance(
    nav: pl.DataFrame,
    *,
    periods_per_year: int = 252,
    traded_usd: float | None = None,
    commission_usd: float | None = None,
) -> Performance:
    """Measure a NAV curve after all costs that are in it.

    Parameters
    ----------
    nav
        Columns at, nav_usd (a number or Decimal); one point per session, the start included.
    periods_per_year
        Sessions in a year; turns per-period figures into yearly ones.
    traded_usd
        Notional of all fills, buys plus sells.
    commission_usd
        Carried through for the report.

    Raises
    ------
    DataUnfit
        The curve has fewer than two points, a value that is null, not finite or not positive, or a time twice.
    InvalidInput
        periods_per_year < 1, or a negative or not finite traded_usd or commission_usd.
    """
    for name, value in (("traded_usd", traded_usd), ("commission_usd", commission_usd)):
        if value is not None and not (math.isfinite(value) and value >= 0.0):
            raise InvalidInput(f"{name} is {value}.", field=name, remedy="Give a finite amount >= 0.")
    if periods_per_year < 1:
        raise InvalidInput(f"periods_per_year is {periods_per_year}.", field="periods_per_year", remedy="Give >= 1.")
    curve = checked_nav(nav)
    values = curve["nav_usd"].to_numpy()
    returns = values[1:] / values[:-1] - 1.0
    n, annual = len(returns), math.sqrt(periods_per_year)
    # Equal returns leave a spread of rounding errors: that is none.
    std = float(returns.std(ddof=1)) if n >= 2 and float(np.ptp(returns)) > 1e-14 else 0.0
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    mean = float(returns.mean())
    yearly_log = math.log(values[-1] / values[0]) * periods_per_year / n
    cagr = math.expm1(yearly_log) if yearly_log < 700.0 else None
    depth, peak, trough = _worst(curve)
    sharpe, sortino = _ratio(mean, std), _ratio(mean, downside)
    return Performance(
        first_at=curve["at"][0],
        last_at=curve["at"][-1],
        periods=n,
        periods_per_year=periods_per_year,
        final_nav_usd=float(values[-1]),
        total_return=float(values[-1] / values[0] - 1.0),
        cagr=cagr,
        volatility=std * annual,
        sharpe=None if sharpe is None else sharpe * annual,
        sortino=None if sortino is None else sortino * annual,
        max_drawdown=depth,
        drawdown_from=peak,
        drawdown_until=trough,
        calmar=_ratio(cagr, depth),
        hit_rate=float((returns > 0.0).mean()),
        skew=_moment(returns, 3) if std else None,
        kurtosis=_moment(returns, 4) if std else None,
        turnover_per_year=None if traded_usd is None else traded_usd / float(values.mean()) * periods_per_year / n,
        commission_usd=commission_usd,
    )
