"""What validation found: every input row is either accepted or quarantined."""

from dataclasses import dataclass

import polars as pl

from alphamill.validation.corrections import REPEATED


@dataclass(frozen=True)
class ValidationResult:
    """Outcome of one validation.

    Parameters
    ----------
    accepted
        `BAR_SCHEMA`, sorted by (symbol, ts), unique by key, no NaN, ``split_factor`` set.
    quarantined
        `BAR_SCHEMA` plus ``reason``: the code of the first broken rule. Rows are as they came.
    corrections
        Bars touched, by name of the correction.
    warnings
        symbol, session, code, detail. Rejects nothing.
    gaps
        symbol, first, last, count: sessions missing between a symbol's own first and last bar.
    splits
        symbol, session, ratio.
    fit_to_trade, reasons
        False with at least one reason when the data must not be traded on.
    """

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    corrections: dict[str, int]
    warnings: pl.DataFrame
    gaps: pl.DataFrame
    splits: pl.DataFrame
    fit_to_trade: bool
    reasons: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows that came in."""
        return self.accepted.height + self.quarantined.height

    @property
    def quarantined_pct(self) -> float:
        """Share of the rows that broke a rule; exact repeats are no defect and do not count."""
        return defect_pct(self.accepted, self.quarantined)

    @property
    def gap_pct(self) -> float:
        """Missing sessions as a share of the expected ones."""
        return missing_pct(self.accepted, self.gaps)

    def reason_counts(self) -> dict[str, int]:
        """Quarantined rows by reason, most frequent first."""
        counted = self.quarantined["reason"].value_counts().sort(["count", "reason"], descending=[True, False])
        return dict(counted.iter_rows())

    def dividends(self) -> pl.DataFrame:
        """symbol, session, price_factor of every adjustment that is no split."""
        return self.accepted.filter((pl.col("price_factor") != 1.0) & (pl.col("split_factor") == 1.0)).select(
            "symbol", "session", "price_factor"
        )


def defect_pct(accepted: pl.DataFrame, quarantined: pl.DataFrame) -> float:
    """Quarantined rows except exact repeats, as a percentage of all rows except those."""
    defects = quarantined.filter(pl.col("reason") != REPEATED).height
    return 100.0 * defects / max(1, defects + accepted.height)


def missing_pct(accepted: pl.DataFrame, gaps: pl.DataFrame) -> float:
    """Missing sessions as a percentage of missing plus accepted ones."""
    missing = int(gaps["count"].sum())
    return 100.0 * missing / max(1, missing + accepted.height)
