"""The promise, checked: the backtest of the sessions that live has traded gives its orders, fills and equity."""

import datetime as dt
from pathlib import Path

from alphamill.bootstrap import backtest_parts, folder_forecaster
from alphamill.domain.bars import data_version
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.parity import Parity, Traded, parity
from alphamill.features import compute
from alphamill.ports import Wiring


def check_parity(parts: Wiring, spec: PortfolioSpec, model_dir: Path) -> Parity:
    """Backtest the sessions that live has traded, with the same model in process, and compare.

    Raises
    ------
    DataUnfit
        Live has not traded yet.
    """
    reader = parts.ledger()
    orders, fills, points = reader.orders(spec.name), reader.fills(spec.name), reader.nav_points(spec.name)
    live = Traded(tuple(orders), tuple(fills), tuple(points))
    if len(live.nav_points) < 2:
        raise DataUnfit(f"portfolio {spec.name} has not traded yet.", remedy="Run `alphamill replay` first.")
    store = parts.bars()
    version = store.version()
    bars = store.read(version=version)
    asks = folder_forecaster(model_dir)
    rows = compute(bars, asks.signature().features)
    first, last = live.nav_points[0].at, live.nav_points[-1].at
    result = run_backtest(
        spec,
        bars,
        backtest_parts(spec, rows, asks),
        start=first.date() + dt.timedelta(days=1),
        until=last.date(),
        data_version=data_version(version),
    )
    return parity(live, Traded(result.orders, result.fills, result.nav_points))
