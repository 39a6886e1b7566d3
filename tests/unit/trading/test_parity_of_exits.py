"""A trailing stop that trips and a symbol that stops trading: live, restarted at every session, equals the backtest."""

import datetime as dt
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.adapters.sql import SqlLedger
from alphamill.bootstrap import backtest_parts
from alphamill.domain.bars import RAW_BAR_SCHEMA
from alphamill.domain.calendars import session_open
from alphamill.domain.portfolios import Delisting, PortfolioSpec, RiskLimits, Schedule, Sizing, Universe
from alphamill.evaluation.backtest import run_backtest
from alphamill.evaluation.parity import Traded, parity
from alphamill.features import MODEL_FEATURES, compute
from alphamill.proofs.synthetic_market import synthetic_market

HISTORY = 150
AHEAD = 12
#: Sessions after the first one ahead until the last one of SYN002.
UNTIL = 7


@pytest.fixture(scope="module")
def last_session() -> dt.date:
    sessions = synthetic_market(3, HISTORY + AHEAD, seed=7)["session"].unique().sort()
    return sessions[HISTORY + UNTIL]


@pytest.fixture(scope="module")
def market(last_session: dt.date) -> pl.DataFrame:
    bars = synthetic_market(3, HISTORY + AHEAD, seed=7)
    return bars.filter((pl.col("symbol") != "SYN002") | (pl.col("session") <= last_session))


@pytest.fixture(scope="module")
def spec(last_session: dt.date) -> PortfolioSpec:
    return PortfolioSpec(
        name="demo",
        universe=Universe(
            symbols=("SYN000", "SYN001", "SYN002"), delistings={"SYN002": Delisting(last_session=last_session)}
        ),
        schedule=Schedule(every_bars=3),
        sizing=Sizing(covariance_bars=60, max_weight=0.5),
        risk=RiskLimits(trailing_stop_pct=1.5),
    )


@pytest.fixture
def reopened(parts, spec: PortfolioSpec, make_live, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Start the controller again over what is on disk."""
    books = f"sqlite:///{tmp_path}"
    opens = partial(session_open, spec.universe.calendar)

    def reopen():  # type: ignore[no-untyped-def]
        parts["ledger"] = SqlLedger(f"{books}/ledger.db")
        parts["broker"] = PaperBroker(
            spec.broker,
            initial_cash={"demo": spec.initial_cash_usd},
            store=SqlPaperStore(f"{books}/paper.db"),
            session_open=opens,
            delistings=spec.universe.delistings,
        )
        return make_live(parts, spec=spec)

    return reopen


def test_exits_and_delistings_survive_restarts_and_equal_the_backtest(
    reopened, parts, spec: PortfolioSpec, market: pl.DataFrame, ahead: list[pl.DataFrame], last_session: dt.date
) -> None:
    paid_out = None
    for session in ahead:
        live = reopened()
        live.accept(session.select(RAW_BAR_SCHEMA.names()))
        assert len(live.close_sessions()) == 1, "a session waits for no bar of a symbol that is gone"
        live = reopened()
        held = parts["ledger"].record(spec.name).positions
        live.process()
        after = parts["ledger"].record(spec.name).positions
        if session["session"][0] > last_session and "SYN002" in held:
            paid_out = held["SYN002"].quantity
            assert "SYN002" not in after
    ledger = parts["ledger"]
    stopped = [o for o in ledger.orders("demo") if "trailing_stop: " in o.reason]
    unscheduled = [d for d in ledger.decisions("demo") if d.orders and d.refusals and d.refusals[0].symbol == "*"]
    assert min(len(stopped), len(unscheduled)) > 0
    assert paid_out
    result = run_backtest(
        spec,
        market,
        backtest_parts(spec, compute(market).select("symbol", "ts", *MODEL_FEATURES), parts["forecaster"]),
        start=ahead[0]["session"][0],
        data_version="bars@0",
    )
    done = Traded(tuple(ledger.orders("demo")), tuple(ledger.fills("demo")), tuple(ledger.nav_points("demo")))
    found = parity(done, Traded(result.orders, result.fills, result.nav_points))
    assert found.differences == ()
    assert found.nav_points == AHEAD + 1
