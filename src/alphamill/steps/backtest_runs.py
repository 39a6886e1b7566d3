"""Several backtests on the same ground, two at a time: each is one thread of Python."""

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import polars as pl

from alphamill.bootstrap import backtest_parts, panel_forecaster, wiring
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.performance import Performance, performance
from alphamill.extensions import load_extensions
from alphamill.ports import Wiring
from alphamill.settings import Settings

WORKERS = 2


@dataclass(frozen=True, slots=True)
class BacktestJob:
    """What is traded: a portfolio on a panel of out-of-sample forecasts (symbol, ts, mean, std)."""

    spec: PortfolioSpec
    panel: pl.DataFrame
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BacktestRun:
    """Its equity curve (at, nav_usd), target weights (at, symbol, weight) and performance after costs."""

    nav: pl.DataFrame
    weights: pl.DataFrame
    performance: Performance


@dataclass(frozen=True, slots=True)
class Ground:
    """What all jobs share, so that the rows of the table compare."""

    bars: pl.DataFrame
    features: pl.DataFrame
    data_version: str


def run_backtests(parts: Wiring, ground: Ground, jobs: Mapping[str, BacktestJob]) -> dict[str, BacktestRun]:
    """Run all jobs in processes of their own; the first error of any ends it.

    Each imports the extensions first: the portfolio's rules may come from one.
    """
    report = parts.progress()
    # Not forked: polars keeps threads that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(WORKERS, len(jobs)), mp_context=context, initializer=_begin, initargs=(parts.settings,)
    ) as pool:
        running = {name: pool.submit(run_backtest_job, ground, name, job) for name, job in jobs.items()}
        runs = {}
        for done, (name, future) in enumerate(running.items(), start=1):
            runs[name] = future.result()
            report("evaluate", done, len(jobs) + 1, f"backtest of {name} done")
    return runs


def _begin(settings: Settings) -> None:
    wiring(settings).join()
    load_extensions(settings.extensions)


def run_backtest_job(ground: Ground, name: str, job: BacktestJob) -> BacktestRun:
    """One backtest, in this process."""
    signature = ModelSignature(
        name=name,
        version="walk-forward",
        features=job.features,
        horizon_bars=job.spec.model.horizon_bars,
        data_version=ground.data_version,
        run_id="",
        approved_for="paper",  # no model of the registry answers, and a backtest moves no money
    )
    rows = ground.features.select("symbol", "ts", *job.features)
    days = job.panel["ts"].dt.date()
    result = run_backtest(
        job.spec,
        ground.bars,
        backtest_parts(job.spec, rows, panel_forecaster(job.panel, signature)),
        start=days.min(),  # type: ignore[arg-type]
        until=days.max(),  # type: ignore[arg-type]
        data_version=ground.data_version,
    )
    traded = float(sum(fill.quantity * fill.price for fill in result.fills))
    commission = float(sum(fill.commission_usd for fill in result.fills))
    earned = performance(result.nav, traded_usd=traded, commission_usd=commission)
    return BacktestRun(result.nav, result.weights, earned)
