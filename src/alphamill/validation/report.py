"""The validation report: one self-contained HTML page for a person."""

from importlib import resources

import polars as pl

from alphamill.validation.result import ValidationResult
from alphamill.validation.rules import ROW_RULES

#: Longer tables are cut, and say so.
_SHOWN_ROWS = 50


def render(
    result: ValidationResult, *, title: str = "Validation of bars", calendar: str = "", data_version: str = ""
) -> str:
    """HTML with the verdict, the counts, every symbol's range, and what was found. No outside resources.

    Parameters
    ----------
    result
        What `validate` found.
    title, calendar, data_version
        Shown in the head; all text is escaped.
    """
    import jinja2

    source = resources.files("alphamill.validation").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(source).render(
        result=result,
        title=title,
        calendar=calendar,
        data_version=data_version,
        demands={rule.code: rule.demands for rule in ROW_RULES},
        tables=[
            ("Symbols", "Accepted bars per symbol.", _symbols(result)),
            ("Splits", "From jumps of the adjustment factor; 2.0 is two new shares for one.", result.splits),
            ("Gaps", "Sessions of the calendar that a symbol lacks between its first and last bar.", result.gaps),
            ("Warnings", "Worth a look; nothing is rejected for these.", result.warnings),
            ("Quarantined rows", "Kept apart with the first rule they broke.", _quarantined(result)),
        ],
        shown=_SHOWN_ROWS,
    )


def _symbols(result: ValidationResult) -> pl.DataFrame:
    dividends = result.dividends().group_by("symbol").agg(pl.len().alias("dividends"))
    bars = result.accepted.group_by("symbol").agg(
        pl.len().alias("bars"), pl.col("session").min().alias("first"), pl.col("session").max().alias("last")
    )
    missing = result.gaps.group_by("symbol").agg(pl.col("count").sum().alias("missing sessions"))
    return (
        bars.join(missing, on="symbol", how="left")
        .join(dividends, on="symbol", how="left")
        .with_columns(pl.col("missing sessions", "dividends").fill_null(0))
        .sort("symbol")
    )


def _quarantined(result: ValidationResult) -> pl.DataFrame:
    return result.quarantined.select("reason", "symbol", "session", "open", "high", "low", "close", "volume", "source")
