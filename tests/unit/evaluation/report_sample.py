"""A made-up run with every part of a report filled in."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from alphamill.domain.models import ModelCard
from alphamill.domain.orders import Fill, Order, OrderStatus, Side, order_id
from alphamill.evaluation import EvaluationSummary, Gate
from alphamill.evaluation.lookahead import Audit
from alphamill.evaluation.parity import Parity
from alphamill.evaluation.performance import performance
from alphamill.evaluation.report import DataSection, RunReport, TradingSection
from alphamill.testing.decisions import SYMBOLS, sample_decision, sample_spec

FIRST = dt.datetime(2005, 1, 3, 21, tzinfo=dt.UTC)
FEATURES = ("return_1", "return_5", "sma_ratio_20", "macd_line", "rsi_14", "atr_14", "momentum_12_1", "stochastic_k")


def times(days: int) -> pl.Series:
    return pl.Series("at", [FIRST + dt.timedelta(days=i) for i in range(days)], dtype=pl.Datetime("us", "UTC"))


def curves(days: int) -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(3)
    market = rng.normal(0.0004, 0.009, days)
    tilts = {"equal weight": 0.0, "linear": 0.0001, "12-1 momentum": 0.0002, "model": -0.0001}
    return {
        name: pl.DataFrame({"at": times(days), "nav_usd": 1e5 * np.cumprod(1 + market + rng.normal(tilt, 0.004, days))})
        for name, tilt in tilts.items()
    }


def weights(days: int) -> pl.DataFrame:
    raw = np.abs(np.cumsum(np.random.default_rng(5).normal(0, 0.05, (days, len(SYMBOLS))), axis=0))
    share = raw / raw.sum(axis=1, keepdims=True)
    at = [when for when in times(days) for _ in SYMBOLS]
    return pl.DataFrame({"at": at, "symbol": list(SYMBOLS) * days, "weight": share.ravel()})


def orders_and_fills(sessions: int) -> tuple[list[Order], list[Fill]]:
    rng, orders, fills = np.random.default_rng(1), [], []
    for day in range(sessions):
        at = dt.datetime(2012, 12, 3, 21, tzinfo=dt.UTC) + dt.timedelta(days=day)
        symbol, side = SYMBOLS[day % 5], Side.BUY if rng.random() < 0.5 else Side.SELL
        quantity, price = Decimal(int(rng.integers(5, 400))), Decimal(f"{rng.uniform(20, 700):.2f}")
        id_ = order_id("demo", at, symbol, side, quantity)
        why = f"target {rng.uniform(0, 0.4):.2f} from {rng.uniform(0, 0.4):.2f}, forecast {rng.normal(0, 80):+.0f} bps"
        last = day == sessions - 1
        status = OrderStatus.PENDING if last else OrderStatus.FILLED
        orders.append(Order(id_, "demo", at, symbol, side, quantity, price, why, status))
        if not last:
            fills.append(Fill(f"f{day}", id_, symbol, side, quantity, price, price * quantity / 2000, at))
    return orders, fills


def card(trials: int) -> ModelCard:
    return ModelCard(
        name="forecaster",
        architecture="mlp",
        features=FEATURES,
        horizon_bars=5,
        data_version="bars@12",
        trained_from=dt.date(2000, 3, 1),
        trained_until=dt.date(2012, 11, 27),
        trials=trials,
        params={"architecture": "mlp", "hidden": (32, 16), "learning_rate": 0.0017346, "epochs": 16},
        run_id="5e7c9a31",
        code_version="0f3a9b1c77de0123456789",
    )


def data_section() -> DataSection:
    return DataSection(
        source="Daily US stocks 2000-2013, public domain.",
        data_version="bars@12",
        sessions=3270,
        symbols=pl.DataFrame(
            {
                "symbol": SYMBOLS,
                "bars": [3270, 196, 2148, 3270, 3270],
                "first": [dt.date(2000, 3, 1), dt.date(2012, 5, 18), dt.date(2004, 8, 19), *[dt.date(2000, 3, 1)] * 2],
                "last": [dt.date(2013, 3, 1)] * 5,
            }
        ),
        quarantined={"OHLC_INCONSISTENT": 2, "NOT_FINITE": 1},
        splits=pl.DataFrame(
            {
                "symbol": ["AAPL", "AAPL", "MSFT"],
                "session": [dt.date(2000, 6, 21), dt.date(2005, 2, 28), dt.date(2003, 2, 18)],
                "ratio": [2.0, 2.0, 2.0],
            }
        ),
        gaps=pl.DataFrame(
            {"symbol": ["IBM"], "first": [dt.date(2006, 12, 29)], "last": [dt.date(2007, 1, 3)], "count": [2]}
        ),
    )


def trial_table() -> pl.DataFrame:
    rng = np.random.default_rng(2)
    return pl.DataFrame(
        {
            "trial": list(range(8)),
            "status": ["done"] * 6 + ["pruned", "failed"],
            "nll": [*rng.normal(-1.9, 0.02, 7), None],
            "hidden": [[32, 16], [16], [32], None, None, [16], [32], [32, 16]],
            "learning_rate": rng.uniform(5e-4, 1e-2, 8),
        }
    )


def sample_report(panel: pl.DataFrame, **changes: Any) -> RunReport:
    days = panel["ts"].n_unique()
    navs = curves(days)
    earned = {name: performance(nav, traded_usd=4e6, commission_usd=2000.0) for name, nav in navs.items()}
    summary = EvaluationSummary.of(
        model_name="forecaster",
        architecture="mlp",
        features=FEATURES,
        horizon_bars=5,
        data_version="bars@12",
        trials=8,
        panel=panel,
        performance=earned.pop("model"),
        baselines=earned,
        baseline_panels={"linear": panel},
        lookahead=Audit(compared=1000, differing=0),
    )
    orders, fills = orders_and_fills(60)
    decisions = tuple(sample_decision(number) for number in range(60))
    report = RunReport(
        created_at=dt.datetime(2026, 11, 5, 9, 30, tzinfo=dt.UTC),
        portfolio=sample_spec(),
        data=data_section(),
        card=card(8),
        model_id="forecaster-3",
        trials=trial_table(),
        summary=summary,
        verdict=Gate("paper").judge(summary, None),
        navs=navs,
        weights=weights(days),
        trading=TradingSection(navs["model"].tail(61), decisions, tuple(orders), tuple(fills), Parity(60, 59, 61, ())),
        feature_docs=dict.fromkeys(FEATURES, "One line about this feature, with its window and unit."),
    )
    return replace(report, **changes)
