"""Synthetic forecast panels whose true IC is known."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from alphamill.evaluation import EvaluationSummary
from alphamill.evaluation.lookahead import Audit
from alphamill.evaluation.performance import Performance, performance

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def panel_of(
    ic: float, *, days: int = 1000, horizon: int = 1, seed: int = 0, spread: float = 1.0, label_seed: int = 7
) -> pl.DataFrame:
    """Forecasts whose correlation with the label is `ic`; the predicted std is `spread` times the true one.

    The label of horizon h is a rolling sum of h daily shocks, so labels overlap as real ones do.
    """
    scale, names = 0.01, len(SYMBOLS)
    shocks = np.random.default_rng(label_seed).standard_normal((days + horizon - 1, names))
    label = np.lib.stride_tricks.sliding_window_view(shocks, horizon, axis=0).sum(axis=-1) / np.sqrt(horizon)
    noise = np.random.default_rng(seed).standard_normal((days, names))
    signal = ic * label + np.sqrt(1.0 - ic**2) * noise
    # The mean that minimises the squared error shrinks the signal by its IC.
    mean = signal * max(ic, 0.02)
    std = np.full_like(mean, np.sqrt(1.0 - ic**2) * spread)
    ts = pl.Series(
        "ts", [START + dt.timedelta(days=i) for i in range(days) for _ in SYMBOLS], dtype=pl.Datetime("us", "UTC")
    )
    return pl.DataFrame(
        {
            "symbol": list(SYMBOLS) * days,
            "ts": ts,
            "mean": (mean * scale).ravel(),
            "std": (std * scale).ravel(),
            "label": (label * scale).ravel(),
        }
    )


def nav_of(daily_mean: float, *, days: int = 1000, daily_std: float = 0.01, seed: int = 3) -> pl.DataFrame:
    """A NAV curve whose daily returns have exactly this mean and standard deviation."""
    draws = np.random.default_rng(seed).standard_normal(days)
    returns = daily_mean + daily_std * (draws - draws.mean()) / draws.std(ddof=1)
    nav = 100_000.0 * np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    at = pl.Series([START + dt.timedelta(days=i) for i in range(days + 1)], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"at": at, "nav_usd": nav})


def earned(yearly_sharpe: float, **more: float) -> Performance:
    return performance(nav_of(yearly_sharpe * 0.01 / np.sqrt(252)), **more)  # type: ignore[arg-type]


def summary_of(panel: pl.DataFrame, *, sharpe: float = 0.5, trials: int = 10, **more: object) -> EvaluationSummary:
    given = {
        "model_name": "alpha",
        "architecture": "mlp",
        "features": ("return_5", "rsi_14"),
        "horizon_bars": 1,
        "data_version": "12",
        "baselines": {"equal weight": earned(0.7), "12-1 momentum": earned(0.4)},
        "lookahead": Audit(compared=1000, differing=0),
        **more,
    }
    return EvaluationSummary.of(panel=panel, performance=earned(sharpe), trials=trials, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def make_panel() -> Callable[..., pl.DataFrame]:
    return panel_of


@pytest.fixture(scope="session")
def make_nav() -> Callable[..., pl.DataFrame]:
    return nav_of


@pytest.fixture(scope="session")
def make_summary() -> Callable[..., EvaluationSummary]:
    return summary_of


@pytest.fixture(scope="session")
def make_performance() -> Callable[..., Performance]:
    return earned
