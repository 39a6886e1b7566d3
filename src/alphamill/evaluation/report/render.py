"""From a `RunReport` to HTML: charts inline, styles inline, nothing fetched."""

import datetime as dt
from collections.abc import Mapping
from importlib import resources
from typing import Any

import polars as pl

from alphamill.errors import InvalidInput
from alphamill.evaluation.baselines import EQUAL_WEIGHT
from alphamill.evaluation.report.charts import calibration_chart, equity_chart, nav_chart, weights_chart
from alphamill.evaluation.report.content import RunReport, TradingSection
from alphamill.evaluation.report.sentences import benchmark, headline, standing_caveats, verdict_paragraph
from alphamill.evaluation.report.trades import interventions, order_rows
from alphamill.evaluation.summary import MODEL
from alphamill.evaluation.summary_table import number, percent, summary_table

#: Rows of a table shown before the rest is folded away.
_SHOWN_ROWS = 12


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return str(value)


def _trials(trials: pl.DataFrame) -> dict[str, Any]:
    ranked = trials.sort("nll", nulls_last=True) if "nll" in trials.columns else trials
    kept = [name for name in ranked.columns if ranked[name].null_count() < max(1, ranked.height)]
    return {"columns": kept, "rows": [[_cell(value) for value in row] for row in ranked.select(kept).iter_rows()]}


def _ordered(navs: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """The model first, then equal weight, whose drawdown is drawn beside it; then the others as given."""
    return {name: navs[name] for name in sorted(navs, key=lambda each: (each != MODEL, each != EQUAL_WEIGHT))}


def _trading(section: TradingSection) -> dict[str, Any]:
    return {
        "chart": nav_chart(section.nav) if section.nav.height > 1 else "",
        "orders": order_rows(section.orders, section.fills),
        "interventions": interventions(section.decisions),
        "decisions": len(section.decisions),
        "fills": len(section.fills),
        "commission": f"{sum(fill.commission_usd for fill in section.fills):,.2f}",
        "first": section.nav["at"].min(),
        "last": section.nav["at"].max(),
        "final_nav": f"{float(section.nav.sort('at')['nav_usd'][-1]):,.2f}" if section.nav.height else "",
        "parity": section.parity,
    }


def _key_numbers(report: RunReport) -> list[tuple[str, str, str]]:
    """Label, value, what it is held against."""
    own, bar, forecast = report.summary.performance, benchmark(report.summary), report.summary.forecast
    name, other = bar if bar is not None else ("no baseline", None)

    def against(value: str) -> str:
        return f"{name}: {value}" if other is not None else name

    return [
        ("Return a year", percent(own.cagr), against(percent(other.cagr) if other else "")),
        ("Sharpe ratio", number(own.sharpe), against(number(other.sharpe) if other else "")),
        ("Deepest drawdown", percent(own.max_drawdown), against(percent(other.max_drawdown) if other else "")),
        (
            "RankIC a day",
            number(forecast.rank_ic.mean, digits=3, sign=True),
            f"t {number(forecast.rank_ic.t, digits=1)}",
        ),
        (
            "Deflated Sharpe",
            percent(report.summary.deflated_sharpe, digits=0),
            f"{report.summary.trials} tried; 95 % is the bar",
        ),
    ]


def render(report: RunReport) -> str:
    """One HTML page, below 2 MB, that needs no network and no script.

    Text from outside (symbols, reasons, details) is escaped.

    Raises
    ------
    InvalidInput
        `navs` lacks the model's curve.
    """
    import jinja2

    if MODEL not in report.navs:
        raise InvalidInput(f"navs has no {MODEL!r}: {sorted(report.navs)}.", field="navs", remedy="Give its curve.")
    source = resources.files("alphamill.evaluation.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, number=number, cell=_cell)
    summary, navs = report.summary, _ordered(report.navs)
    return environment.from_string(source).render(
        report=report,
        summary=summary,
        verdict=report.verdict,
        headline=headline(summary, navs),
        paragraph=verdict_paragraph(summary, navs),
        key_numbers=_key_numbers(report),
        table=summary_table(summary),
        trials=_trials(report.trials),
        features=[(name, report.feature_docs.get(name, "")) for name in report.card.features],
        equity=equity_chart(navs),
        weights=weights_chart(report.weights, "weights") if report.weights.height else "",
        calibration=calibration_chart(summary.forecast.calibration),
        trading=_trading(report.trading) if report.trading else None,
        caveats=(*standing_caveats(len(report.portfolio.universe.symbols)), *report.caveats),
        shown=_SHOWN_ROWS,
    )
