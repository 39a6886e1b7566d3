"""When is data good enough to trade on."""

from dataclasses import dataclass

import polars as pl

from alphamill.errors import DataUnfit
from alphamill.validation.result import ValidationResult, defect_pct, missing_pct


@dataclass(frozen=True, slots=True)
class FitThresholds:
    """Above any of these the data is unfit.

    One percent of broken rows is more than the odd typing error of a vendor; two percent of missing
    sessions are five trading days a year.
    """

    max_quarantined_pct: float = 1.0
    max_gap_pct: float = 2.0


def unfit_reasons(
    accepted: pl.DataFrame, quarantined: pl.DataFrame, gaps: pl.DataFrame, thresholds: FitThresholds
) -> tuple[str, ...]:
    """One sentence per threshold that is exceeded; empty for fit data."""
    if accepted.is_empty():
        return ("No bar was accepted.",)
    reasons = []
    broken, missing = defect_pct(accepted, quarantined), missing_pct(accepted, gaps)
    if broken > thresholds.max_quarantined_pct:
        reasons.append(f"{broken:.2f} % of the rows are quarantined (limit {thresholds.max_quarantined_pct:g} %).")
    if missing > thresholds.max_gap_pct:
        reasons.append(f"{missing:.2f} % of the sessions are missing (limit {thresholds.max_gap_pct:g} %).")
    return tuple(reasons)


def require_fit(result: ValidationResult) -> None:
    """Stop the line on unfit data.

    Raises
    ------
    DataUnfit
        Says why, which rules were broken most, and what to do.
    """
    if result.fit_to_trade:
        return
    broken = ", ".join(f"{code} x {count}" for code, count in list(result.reason_counts().items())[:3])
    raise DataUnfit(
        " ".join(result.reasons) + (f" Most frequent: {broken}." if broken else ""),
        field="bars",
        remedy="Read the validation report, mend or remove the rows at the source, and ingest again.",
    )
