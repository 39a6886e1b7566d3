"""Stage 9: the newest sessions of a feed through the live path, bar by bar, held against the backtest."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl

from alphamill.adapters.controller_api import ControllerApi
from alphamill.adapters.onnx import OnnxForecaster
from alphamill.adapters.sql.ledger import SqlLedger
from alphamill.bootstrap import backtest_parts, bar_store
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.parity import Parity, Traded, parity
from alphamill.features import MODEL_FEATURES, compute
from alphamill.ports import MarketFeed
from alphamill.settings import Settings

#: A decision takes tens of milliseconds; this bounds a process that hangs.
DECISION_DEADLINE_SECS = 60.0


def last_sessions(feed: MarketFeed, symbols: tuple[str, ...], sessions: int) -> pl.DataFrame:
    """Raw bars of the newest `sessions` sessions in which every symbol has a bar."""
    raw = feed.read().filter(pl.col("symbol").is_in(symbols))
    complete = raw.group_by("session").len().filter(pl.col("len") == len(symbols))["session"].sort()
    if len(complete) <= sessions:
        raise DataUnfit(
            f"the feed has {len(complete)} sessions with all of {', '.join(symbols)}, {sessions} are to be replayed.",
            field="sessions",
            remedy="Replay fewer sessions or give a longer history.",
        )
    return raw.filter(pl.col("session") >= complete[-sessions]).sort("session", "symbol")


def replay_sessions(
    raw: pl.DataFrame, spec: PortfolioSpec, api: ControllerApi, progress: Callable[[int, int], None]
) -> None:
    """Post every bar as a live feed would and wait for each session's decision."""
    days = raw.partition_by("session", maintain_order=True)
    for done, session in enumerate(days, start=1):
        for row in session.iter_rows(named=True):
            bar = {name: value for name, value in row.items() if name != "session"}
            api.post_bar({**bar, "date": row["session"].isoformat()})
        # A session closes on its own day in UTC or later, never before it.
        api.wait_decided(spec.name, session["session"][0].isoformat(), DECISION_DEADLINE_SECS)
        progress(done, len(days))


def check_parity(settings: Settings, spec: PortfolioSpec, model_dir: Path) -> Parity:
    """Backtest the sessions that live has traded, with the same model in process, and compare.

    Raises
    ------
    DataUnfit
        Live has not traded yet.
    """
    reader = SqlLedger(settings.ledger_url).reader()
    live = Traded(
        tuple(o for o in reader.orders(spec.name)), tuple(reader.fills(spec.name)), tuple(reader.nav_points(spec.name))
    )
    if len(live.nav_points) < 2:
        raise DataUnfit(f"portfolio {spec.name} has not traded yet.", remedy="Run `alphamill replay` first.")
    store = bar_store(settings)
    version = store.version()
    bars = store.read(version=version)
    rows = compute(bars).select("symbol", "ts", *MODEL_FEATURES)
    first, last = live.nav_points[0].at, live.nav_points[-1].at
    result = run_backtest(
        spec,
        bars,
        backtest_parts(spec, rows, OnnxForecaster(model_dir)),
        start=first.date() + dt.timedelta(days=1),
        until=last.date(),
        data_version=f"bars@{version}",
    )
    return parity(live, Traded(result.orders, result.fills, result.nav_points))
