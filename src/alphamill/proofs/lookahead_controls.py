"""Runs the planted leaks and their clean twins through the same entry points as the check itself."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import polars as pl

from alphamill.domain.costs import costs_of
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, Universe
from alphamill.evaluation.backtest import BacktestParts
from alphamill.evaluation.lookahead import Finding, Probe, check_fills, check_probe, check_purge, cut_points
from alphamill.evaluation.lookahead.controls import COLUMN_CONTROLS, unpurged_folds
from alphamill.features import MODEL_FEATURES
from alphamill.proofs.lookahead_decisions import Decisions, with_broker
from alphamill.proofs.lookahead_probes import training_set
from alphamill.proofs.same_bar_broker import SameBarBroker
from alphamill.proofs.synthetic_market import synthetic_market

_SYMBOLS, _SESSIONS, _CUTS = 3, 320, 12
_HOLE, _SPLIT, _LATE = 200, 240, 260
_DAYS_LATE = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the check said to one planted leak and to its clean twin."""

    name: str
    leak: tuple[Finding, ...]
    twin: tuple[Finding, ...]

    @property
    def caught(self) -> bool:
        return any(finding.differing for finding in self.leak)

    @property
    def passes(self) -> bool:
        return all(finding.holds for finding in self.twin)

    @property
    def worst(self) -> str:
        return next((str(f.worst) for f in self.leak if f.worst), "")


def control_market(seed: int, *, late: bool = False) -> pl.DataFrame:
    """A synthetic market with a hole in one symbol and a split in another; with `late` also bars that arrive late."""
    bars = synthetic_market(_SYMBOLS, _SESSIONS, seed=seed)
    number = pl.int_range(pl.len()).over("symbol")
    symbols = bars["symbol"].unique().sort()
    hole = (pl.col("symbol") == symbols[0]) & number.is_between(_HOLE, _HOLE + 4)
    splits = (pl.col("symbol") == symbols[1]) & (number == _SPLIT)
    halved = pl.when((pl.col("symbol") == symbols[1]) & (number >= _SPLIT)).then(0.5).otherwise(1.0)
    delayed = (pl.col("symbol") == symbols[2]) & number.is_between(_LATE, _LATE + 9) & pl.lit(late)
    return bars.with_columns(
        pl.col("open", "high", "low", "close") * halved,
        pl.when(splits).then(0.5).otherwise(1.0).alias("price_factor"),
        pl.when(splits).then(0.5).otherwise(1.0).alias("split_factor"),
        pl.when(delayed)
        .then(pl.col("ts").dt.offset_by(f"{_DAYS_LATE}d"))
        .otherwise("ingested_at")
        .alias("ingested_at"),
    ).filter(~hole)


CONTROL: Final = "control"
CASH: Final = {CONTROL: Decimal(100_000)}


def run_controls(seed: int) -> list[Outcome]:
    """Every planted leak and its twin; each leak must be caught and each twin must pass."""
    bars, late = control_market(seed), control_market(seed, late=True)
    outcomes = []
    for name, pair in COLUMN_CONTROLS.items():
        market = late if name.startswith("late") else bars
        cuts = cut_points(market, _CUTS, seed)
        leak, twin = (tuple(check_probe(Probe("control", compute), market, cuts, seed)) for compute in pair)
        outcomes.append(Outcome(name, leak, twin))
    purge = {clean: _purge(bars, purge=clean) for clean in (False, True)}
    outcomes.append(Outcome("fold without purge", (purge[False],), (purge[True],)))
    cheating = _fills(bars, lambda parts: with_broker(parts, SameBarBroker(BrokerRef(), initial_cash=CASH)))
    honest = _fills(bars, lambda parts: parts)
    return [*outcomes, Outcome("fill on the decision's own bar", tuple(cheating), tuple(honest))]


def _purge(bars: pl.DataFrame, *, purge: bool) -> Finding:
    dataset = training_set(bars, MODEL_FEATURES, 5)
    return check_purge("folds", dataset.ts, dataset.label_end, unpurged_folds(dataset.ts, dataset.label_end, purge))


def _fills(bars: pl.DataFrame, wire: Callable[[BacktestParts], BacktestParts]) -> list[Finding]:
    spec = PortfolioSpec(name=CONTROL, universe=Universe(symbols=tuple(bars["symbol"].unique().sort())))
    decisions = Decisions(spec, MODEL_FEATURES, bars, wire)
    closes: list[dt.datetime] = bars["ts"].unique().sort().to_list()
    decisions(bars, closes[-10])
    return check_fills(decisions.orders, decisions.fills, bars, costs_of(spec.broker)[1])
