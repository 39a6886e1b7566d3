"""Replay parity: the live path gives the backtest's orders, fills and equity, one by one."""

from dataclasses import replace
from decimal import Decimal

import polars as pl
import pytest

from alphamill.bootstrap import backtest_parts
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.parity import Traded, parity
from alphamill.features import MODEL_FEATURES, compute


@pytest.fixture
def pair(system, market: pl.DataFrame) -> tuple[Traded, Traded]:
    for session in system.ahead:
        system.run(session)
    ledger = system.ledger
    live = Traded(tuple(ledger.orders("demo")), tuple(ledger.fills("demo")), tuple(ledger.nav_points("demo")))
    rows = compute(market).select("symbol", "ts", *MODEL_FEATURES)
    parts = backtest_parts(system.spec, rows, system.forecaster)
    start = system.ahead[0]["session"][0]
    result = run_backtest(system.spec, market, parts, start=start, data_version="bars@0")
    return live, Traded(result.orders, result.fills, result.nav_points)


def test_live_trades_what_the_backtest_trades(pair: tuple[Traded, Traded]) -> None:
    found = parity(*pair)
    assert found.differences == ()
    assert found.holds
    assert found.orders > 3
    assert found.fills > 3
    assert found.nav_points == 9


def test_a_cent_of_difference_is_found(pair: tuple[Traded, Traded]) -> None:
    live, backtest = pair
    fill = live.fills[0]
    changed = replace(live, fills=(replace(fill, price=fill.price + Decimal("0.01")), *live.fills[1:]))
    assert len(parity(changed, backtest).differences) == 1


def test_a_missing_order_is_found(pair: tuple[Traded, Traded]) -> None:
    live, backtest = pair
    assert not parity(replace(live, orders=live.orders[:-1]), backtest).holds
