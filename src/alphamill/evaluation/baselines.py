"""What a model must beat: portfolios that need no model, run by the same trader."""

from typing import Final

import polars as pl

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit, MissingFeatures

EQUAL_WEIGHT: Final = "equal weight"
MOMENTUM: Final = "12-1 momentum"
LINEAR: Final = "linear"
MOMENTUM_FEATURE: Final = "momentum_12_1"


def baseline_specs(spec: PortfolioSpec) -> dict[str, PortfolioSpec]:
    """The portfolio's twins by baseline name: same universe, costs and risk limits, other sizing.

    "equal weight" ignores the size of the forecasts, "12-1 momentum" holds `sizing.top_k` names with the highest
    forecast and is fed by `momentum_panel`. The weight cap is lifted to what the method needs, or the
    baseline would be held to less than it means; the gross limit stays.
    """
    names = len(spec.universe.symbols)
    held = min(spec.sizing.top_k, names)

    def twin(name: str, method: str, count: int) -> PortfolioSpec:
        sizing = spec.sizing.model_copy(
            update={"method": method, "top_k": held, "max_weight": max(spec.sizing.max_weight, 1.0 / count)}
        )
        return spec.model_copy(update={"name": f"{spec.name[:40].rstrip('-')}-{name}", "sizing": sizing})

    return {
        EQUAL_WEIGHT: twin("equal-weight", "equal_weight", names),
        MOMENTUM: twin("momentum", "top_k", held),
    }


def momentum_panel(feature_rows: pl.DataFrame, *, std: float = 0.05) -> pl.DataFrame:
    """12-1 momentum as if it were a forecast: its rank is meant, its size and `std` are not.

    Parameters
    ----------
    feature_rows
        Columns symbol, ts and momentum_12_1 (the return from 252 to 21 bars ago, as a fraction).
    std
        Constant standard deviation of every row.

    Returns
    -------
    polars.DataFrame
        symbol, ts, mean, std; rows inside the warm-up (null or NaN) are left out, as no forecast exists there.

    Raises
    ------
    MissingFeatures
        The column is missing, or no row is past the warm-up.
    DataUnfit
        A value is infinite.
    """
    if MOMENTUM_FEATURE not in feature_rows.columns:
        raise MissingFeatures(
            f"no column {MOMENTUM_FEATURE!r}.", field=MOMENTUM_FEATURE, remedy="Compute the feature first."
        )
    momentum = pl.col(MOMENTUM_FEATURE)
    panel = feature_rows.filter(momentum.is_not_null() & momentum.is_not_nan()).select(
        "symbol", "ts", momentum.cast(pl.Float64).alias("mean"), pl.lit(std, dtype=pl.Float64).alias("std")
    )
    if panel.is_empty():
        raise MissingFeatures(
            f"no row of {MOMENTUM_FEATURE} is past its warm-up.",
            field=MOMENTUM_FEATURE,
            remedy="Give 253 bars or more.",
        )
    if panel["mean"].is_infinite().any():
        raise DataUnfit(
            f"{MOMENTUM_FEATURE} holds an infinite value.", field=MOMENTUM_FEATURE, remedy="Validate the bars."
        )
    return panel
