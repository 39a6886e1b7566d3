"""Charts as SVG text that fits light and dark pages: lines keep their colour, text takes the page's."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from alphamill.evaluation.calibration import Calibration
from alphamill.evaluation.performance import drawdown_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK: Final = "#010203"  # Stands for the page's text colour; no line uses it.
_GRID: Final = "#8a93a2"
PALETTE: Final = ("#3b7dd8", "#e8872e", "#2fa37c", "#a06cd5", "#d9534f", "#17a2b8", "#c2a21d", "#7f8c8d")
_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.7,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def _inline(figure: "Figure", name: str, label: str) -> str:
    """SVG without prolog or metadata; ids are prefixed, as one page holds several charts."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg).replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _times(series: pl.Series) -> Any:
    return series.dt.replace_time_zone(None).to_numpy()


def _dates(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.margins(x=0.01)


def _legend(axes: "Axes", columns: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=columns, columnspacing=1.4, handlelength=1.4)


def _percent_axis(axes: "Axes", which: str = "y") -> None:
    from matplotlib.ticker import PercentFormatter

    for name in which:
        getattr(axes, f"{name}axis").set_major_formatter(PercentFormatter(1.0, decimals=0))


def equity_chart(navs: Mapping[str, pl.DataFrame]) -> str:
    """Growth of 1 and drawdown, one line per curve (at, nav_usd); the first is drawn strongest."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 4.9), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.4, 1))
        for position, (name, nav) in enumerate(navs.items()):
            curve, drawdown = nav.sort("at"), drawdown_curve(nav)
            look = {"color": PALETTE[position % len(PALETTE)], "linewidth": 1.9 if position == 0 else 1.1}
            growth = curve["nav_usd"].cast(pl.Float64) / float(curve["nav_usd"][0])
            upper.plot(_times(curve["at"]), growth.to_numpy(), label=name, zorder=9 - position, **look)
            if position < 2:
                lower.plot(_times(drawdown["at"]), drawdown["drawdown"].to_numpy(), zorder=9 - position, **look)
        upper.set_ylabel("growth of 1")
        lower.set_ylabel("drawdown")
        _percent_axis(lower)
        _legend(upper, 5)
        _dates(lower)
        figure.align_ylabels()
        return _inline(figure, "equity", "Equity and drawdown of " + ", ".join(navs))


def nav_chart(nav: pl.DataFrame) -> str:
    """NAV in USD of one portfolio (at, nav_usd)."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    with rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 2.8), layout="constrained")
        axes = figure.subplots()
        curve = nav.sort("at")
        axes.plot(_times(curve["at"]), curve["nav_usd"].cast(pl.Float64).to_numpy(), color=PALETTE[0], linewidth=1.9)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_ylabel("NAV, USD")
        _dates(axes)
        return _inline(figure, "live", "Net asset value of the replay")


def weights_chart(weights: pl.DataFrame, name: str) -> str:
    """Stacked target weights (at, symbol, weight); at most 400 points in time, the last of each stretch."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    wide = weights.pivot(on="symbol", index="at", values="weight", sort_columns=True).sort("at")
    # A symbol absent from a decision was left alone: its last target still stands. Before the first there is none.
    wide = wide.with_columns(pl.exclude("at").fill_null(strategy="forward").fill_null(0.0))
    stride = max(1, -(-wide.height // 400))
    wide = wide.reverse().gather_every(stride).reverse()
    symbols = [column for column in wide.columns if column != "at"]
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 3.0), layout="constrained")
        axes = figure.subplots()
        stack = wide.select(symbols).to_numpy().T
        colours = [PALETTE[i % len(PALETTE)] for i in range(len(symbols))]
        # Negative weights cannot be stacked as areas: lines then.
        if (stack < 0).any():
            for row, symbol, colour in zip(stack, symbols, colours, strict=True):
                axes.step(_times(wide["at"]), row, where="post", label=symbol, color=colour, linewidth=1.1)
        else:
            axes.stackplot(_times(wide["at"]), stack, labels=symbols, colors=colours, alpha=0.85, linewidth=0)
        axes.set_ylabel("target weight")
        _percent_axis(axes)
        _legend(axes, 8)
        _dates(axes)
        return _inline(figure, name, "Target weights over time of " + ", ".join(symbols))


def calibration_chart(measured: Calibration) -> str:
    """Predicted against observed quantiles, and confidence against the share of signs that were right."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=_GRID, linewidth=1, linestyle="--")
        nominal = [level.nominal for level in measured.quantiles]
        left.plot(nominal, [level.observed for level in measured.quantiles], "o-", color=PALETTE[0], markersize=4)
        left.set(title="Quantiles of the return", xlabel="promised share below", ylabel="observed share below")
        bins = measured.reliability
        claimed, hits = np.array([b.confidence for b in bins]), np.array([b.hit_rate for b in bins])
        error = 1.96 * np.sqrt(hits * (1 - hits) / np.array([b.rows for b in bins], dtype=float))
        right.errorbar(claimed, hits, yerr=error, fmt="o", color=PALETTE[0], markersize=5, capsize=3, linewidth=1.2)
        low, high = min([0.5, *(hits - error)]) - 0.01, max([0.55, *claimed, *(hits + error)]) + 0.01
        right.plot([low, high], [low, high], color=_GRID, linewidth=1, linestyle="--")
        right.set(title="Confidence in the sign", xlabel="claimed", ylabel="signs right", ylim=(low, high))
        right.set_xlim(0.495, max([0.55, *claimed]) + 0.01)
        _percent_axis(left, "xy")
        _percent_axis(right, "xy")
        return _inline(figure, "calibration", "Calibration of the forecasts")
