"""What a run's report is made of: domain types, frames and plain values."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from alphamill.domain.decisions import Decision
from alphamill.domain.models import ModelCard
from alphamill.domain.orders import Fill, Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.gate import GateVerdict
from alphamill.evaluation.parity import Parity
from alphamill.evaluation.summary import EvaluationSummary


@dataclass(frozen=True, slots=True)
class DataSection:
    """The bars behind the run.

    `symbols` has columns symbol, bars, first, last (dates); `quarantined` counts rows by reason;
    `splits` has symbol, session, ratio (2.0 is 2:1); `gaps` has symbol, first, last, count (missing sessions).
    `source` names the feed and its attribution.
    """

    source: str
    data_version: str
    sessions: int
    symbols: pl.DataFrame
    quarantined: Mapping[str, int]
    splits: pl.DataFrame
    gaps: pl.DataFrame

    @property
    def bars(self) -> int:
        return int(self.symbols["bars"].sum())


@dataclass(frozen=True, slots=True)
class TradingSection:
    """What the live path did.

    `nav` has columns at, nav_usd. `orders` stand as they ended, in the order they were sent. `parity` is the
    comparison with the backtest of the same sessions, None if it was not made.
    """

    nav: pl.DataFrame
    decisions: tuple[Decision, ...]
    orders: tuple[Order, ...]
    fills: tuple[Fill, ...]
    parity: Parity | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run from data to orders.

    Parameters
    ----------
    feature_docs
        A line about each feature, by name; features of the card without one are listed bare.
    trials
        One row per configuration tried, any columns; `nll` (lower is better) picks the best if there.
    navs
        Walk-forward equity (at, nav_usd) by name: "model" and the baselines of `summary`.
    weights
        The model's target weights in that backtest: at, symbol, weight (fractions of NAV).
    trading
        None where nothing was replayed.
    caveats
        Sentences added to the standing ones.
    """

    created_at: dt.datetime
    portfolio: PortfolioSpec
    data: DataSection
    card: ModelCard
    model_id: str
    trials: pl.DataFrame
    summary: EvaluationSummary
    verdict: GateVerdict
    navs: Mapping[str, pl.DataFrame]
    weights: pl.DataFrame
    trading: TradingSection | None = None
    feature_docs: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    title: str = "Alphamill run"
