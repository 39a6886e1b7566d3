"""The model beside its baselines, as text cells: for the terminal and the report."""

from alphamill.evaluation.forecast_metrics import ForecastMetrics
from alphamill.evaluation.performance import Performance
from alphamill.evaluation.summary import MODEL, EvaluationSummary

UNDEFINED = "–"
COLUMNS = (
    "",
    "Return a year",
    "Volatility",
    "Sharpe",
    "Max drawdown",
    "Calmar",
    "Turnover a year",
    "RankIC",
    "t",
    "Signs right",
)


def percent(value: float | None, *, digits: int = 1) -> str:
    """A fraction as percent, e.g. 0.123 as "12.3 %"; a dash if undefined."""
    return UNDEFINED if value is None else f"{value * 100:,.{digits}f} %"


def number(value: float | None, *, digits: int = 2, sign: bool = False) -> str:
    """A number with fixed digits; a dash if undefined."""
    if value is None:
        return UNDEFINED
    return f"{value:+,.{digits}f}" if sign else f"{value:,.{digits}f}"


def _row(name: str, earned: Performance, forecast: ForecastMetrics | None) -> tuple[str, ...]:
    return (
        name,
        percent(earned.cagr),
        percent(earned.volatility),
        number(earned.sharpe),
        percent(earned.max_drawdown),
        number(earned.calmar),
        "" if earned.turnover_per_year is None else f"{earned.turnover_per_year:.1f}x",
        number(forecast.rank_ic.mean, digits=3, sign=True) if forecast else "",
        number(forecast.rank_ic.t, digits=1, sign=True) if forecast else "",
        percent(forecast.sign.accuracy) if forecast else "",
    )


def summary_table(summary: EvaluationSummary) -> tuple[tuple[str, ...], ...]:
    """Header row (`COLUMNS`), the model, then each baseline in the order it was given.

    Everything is after costs and over the same days. A dash is undefined; an empty cell does not apply.
    """
    rows = [_row(MODEL, summary.performance, summary.forecast)]
    rows += [_row(name, earned, summary.baseline_forecasts.get(name)) for name, earned in summary.baselines.items()]
    return (COLUMNS, *rows)
