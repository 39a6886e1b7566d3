"""Three years of twenty names, the best five every 21 bars, costs on: two engines, one result."""

from typing import Final

import numpy as np
import polars as pl
import pytest

from alphamill.adapters.memory.forecast_table import ForecastTable
from alphamill.bootstrap import backtest_parts
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.backtest import BacktestResult, run_backtest
from alphamill.proofs.synthetic_market import synthetic_market
from benchmarks.peers.agreement import differing_fills
from benchmarks.peers.ml4t_engine import peer_engine, peer_run

NAMES, SESSIONS, EVERY, BEST, WARM_UP = 20, 756, 21, 5, 25

OFF: Final = {"stop_loss_pct": 100, "max_drawdown_pct": 100, "max_order_notional_usd": 10**9}

#: Half a step of our money, for each fill: its commission is rounded, its price (cents and 2 bps) is not.
ROUNDING_USD: Final = 5e-7


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """In cents, as an exchange quotes."""
    market = synthetic_market(NAMES, SESSIONS, seed=11)
    return market.with_columns(pl.col("open", "high", "low", "close").round(2))


@pytest.fixture(scope="module")
def panel(bars: pl.DataFrame) -> pl.DataFrame:
    """A random forecast of every name at every close."""
    means = np.random.default_rng(12).normal(0.0, 0.02, bars.height)
    return bars.select("symbol", "ts", pl.Series("mean", means), pl.lit(0.04).alias("std"))


def spec_of(bars: pl.DataFrame, broker: dict[str, object], buffer_pct: float) -> PortfolioSpec:
    return PortfolioSpec.model_validate(
        {
            "name": "market",
            "initial_cash_usd": 1_000_000,
            "universe": {"symbols": bars["symbol"].unique().sort().to_list()},
            "schedule": {"every_bars": EVERY},
            "sizing": {
                "method": "top_k",
                "top_k": BEST,
                "cash_buffer_pct": buffer_pct,
                "covariance_bars": 20,
                "min_order_usd": 0,
            },
            # A whole exchange of the five with a gain on top is more than the 200 % turnover a portfolio allows.
            "risk": {**OFF, "max_turnover_pct": 1000},
            "broker": {"commission_bps": 5, "slippage_bps": 2, **broker},
        }
    )


def backtest(spec: PortfolioSpec, bars: pl.DataFrame, panel: pl.DataFrame) -> BacktestResult:
    signature = ModelSignature("random", "1", ("one",), spec.model.horizon_bars, "bars@0", "", "paper")
    rows = bars.select("symbol", "ts", pl.lit(1.0).alias("one"))
    start = bars["session"].unique().sort()[WARM_UP]
    return run_backtest(
        spec, bars, backtest_parts(spec, rows, ForecastTable(panel, signature)), start=start, data_version="bars@0"
    )


def schedule_of(panel: pl.DataFrame) -> dict[object, dict[str, float]]:
    """Every 21st close after the warm-up: the five highest forecasts at a fifth each."""
    best = panel.sort("ts", "mean", descending=[False, True]).group_by("ts", maintain_order=True).head(BEST)
    closes = panel["ts"].unique().sort()
    chosen = {close for number, close in enumerate(closes, start=1) if number % EVERY == 0 and number > WARM_UP}
    return {
        ts: dict.fromkeys(rows["symbol"], 1 / BEST)
        for (ts,), rows in best.partition_by("ts", as_dict=True).items()
        if ts in chosen
    }


@pytest.mark.parametrize(
    ("broker", "buffer_pct"),
    [({"margin": True}, 0.0), ({"margin": False}, 10.0), ({"margin": False, "share_step": "0.001"}, 10.0)],
    ids=["margin", "cash", "fractions"],
)
def test_three_years_of_twenty_names_end_at_the_same_cent(
    bars: pl.DataFrame, panel: pl.DataFrame, broker: dict[str, object], buffer_pct: float
) -> None:
    spec = spec_of(bars, broker, buffer_pct)
    result = backtest(spec, bars, panel)
    peer = peer_run(peer_engine(spec, bars, schedule_of(panel)))
    assert len(result.fills) > 200
    assert not differing_fills(result.fills, peer.fills)
    ours, theirs = result.nav["nav_usd"], peer.nav["nav_usd"].tail(result.nav.height)
    assert (ours - theirs).abs().max() <= ROUNDING_USD * len(result.fills)  # type: ignore[operator]
