"""Event backtest: 250 names x 20 years (5,040 sessions), the top 25 by forecast every 21 bars, next open, with costs.

Ours is the product's path: `run_backtest` with the desk, the portfolio's trader with all its rules, the paper broker, a
ledger, a feature table and a forecast table; it starts from frames of bars, features and forecasts, and every session
leaves a decision and a NAV in the ledger. ml4t-backtest gets the same bars and, ready made, the target weights of each
decision: it need not read a forecast or rank a name. The floor is a loop over sessions on numpy arrays with the same
rule. All three must have the same fills and the same equity at the end.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.command import main
from benchmarks.measure import interleave
from benchmarks.section import Aim, Section, Table, figure, row

if TYPE_CHECKING:
    from alphamill.domain.portfolios import PortfolioSpec
    from alphamill.evaluation.backtest import BacktestResult
    from benchmarks.peers.ml4t_engine import PeerRun

TITLE = "Event backtest"

PROSE = """
**Where the time goes.** A session without a decision costs about one millisecond at 25 positions, evenly spread: bars
into the history, the broker looking for splits among what is held, prices, a settlement (NAV, the best close of every
position, one record), exit rules, and a decision that says why nothing was traded. The 240 sessions that decide cost
ten times as much each: 250 feature rows and forecasts, every rule over every target, some 35 orders sent, confirmed
and filled one by one. Garbage collection is a tenth of it, making the two tables a twentieth.

**Why the aim is missed.** The engine compared with does less, and does it in floats. It marks positions and matches
orders. Ours also keeps, for every session, a decision with its inputs and the NAV, asks every exit rule about every
position, reconciles ledger and broker before each decision, writes each order before it is sent, and counts money in
`Decimal`: none of that is switched off, because a backtest that skips what live does proves nothing about live. Five
times the speed would leave an eighth of a millisecond per session, about what the records alone cost in Python.
The aim was set by a figure of 94 thousand bars/s for the peer; on an idle machine it is four times as fast, and as
slow as that when others use the machine.

**What was done.** At first a session took 12 ms: a SQL transaction for each step of the ledger, numpy calls per symbol,
decimals for every symbol that nobody asked for, and searches in calendar columns. Now a session is cut into columns
once and appended to all symbols at once, a price becomes a decimal when it is asked for, features and forecasts of a
session are found together, a position is checked when it changes, and the ledger of a backtest is in memory, held to
the SQL ledger's answers by one contract suite and by random histories. Decisions, orders, fills and NAV stayed the same
to the last digit at each of these steps.

**Next lever.** Positions as arrays beside their decimals: NAV, weights and exit rules would be four array expressions
per session instead of a hundred decimals, with the decimal path only for what crosses a limit. It should take a third
off. After that, decisions of skipped sessions could be written as rows of a table. Several portfolios or
parameter sets run in processes of their own already (`steps.backtest_runs`).
"""

#: Bars before the first session: what the trader wants of history, and one.
_KNOWN, _EVERY, _HELD = 127, 21, 25


def measure(quick: bool) -> Section:
    names, sessions, held = (40, 126, 5) if quick else (250, 5_040, _HELD)
    ground = _Ground(names, sessions, held)
    result = ground.ours()
    weights = {d.decided_at: d.target_weights for d in result.decisions if d.forecasts}
    theirs = ground.theirs(weights)
    checks = _same(result, theirs, ground.floor())
    t = interleave(
        {"ours": ground.ours, "ml4t": lambda: ground.engine(weights).run(), "floor": ground.floor},
        rounds=1,
        warm_up=0,
        at_most_secs=60,
    )
    bars = names * sessions
    speed = [(name, f"{figure(timing.median)} s", f"{bars / timing.median:,.0f}") for name, timing in t.items()]
    with _stopwatch(_stages()) as spent:
        whole = perf_counter()
        ground.ours()
        whole = perf_counter() - whole
    return Section(
        rows=[
            row("250 names x 20 years", t["ours"], against="ml4t-backtest", peer=t["ml4t"], aim=Aim(0.2), unit="s"),
            row("250 names x 20 years", t["ours"], against="a numpy loop (the floor)", peer=t["floor"], unit="s"),
        ],
        tables=[
            Table("Speed.", ("", "median", "bars/s"), speed),
            Table("Where our time goes, in one run.", ("stage", "calls", "of the run"), _shares(spent, whole)),
        ],
        checks=checks,
    )


class _Ground:
    """One synthetic market, its past returns as forecasts, and the three ways to trade them."""

    def __init__(self, names: int, sessions: int, held: int) -> None:
        import polars as pl

        from alphamill.proofs.synthetic_market import synthetic_market

        self.bars = synthetic_market(names, _KNOWN + sessions, seed=3)
        past = (pl.col("close") / pl.col("close").shift(105) - 1).over("symbol").alias("momentum")
        self.features = self.bars.select("symbol", "ts", past).drop_nulls()
        self.forecasts = self.features.select("symbol", "ts", mean=pl.col("momentum") / 25, std=pl.lit(0.05))
        self.spec = _spec(self.bars["symbol"].unique().sort().to_list(), held)
        self.start: dt.date = self.bars["session"].unique().sort()[_KNOWN]

    def ours(self) -> "BacktestResult":
        from alphamill.adapters.memory.forecast_table import ForecastTable
        from alphamill.bootstrap import backtest_parts
        from alphamill.domain.forecasts import ModelSignature
        from alphamill.evaluation.backtest import run_backtest

        signature = ModelSignature("momentum", "1", ("momentum",), self.spec.model.horizon_bars, "bars@0", "", "paper")
        parts = backtest_parts(self.spec, self.features, ForecastTable(self.forecasts, signature))
        return run_backtest(self.spec, self.bars, parts, start=self.start, data_version="bars@0")

    def engine(self, weights: Mapping[dt.datetime, Mapping[str, float]]) -> Any:
        import polars as pl

        from benchmarks.peers.ml4t_engine import peer_engine

        return peer_engine(self.spec, self.bars.filter(pl.col("session") >= self.start), weights)

    def theirs(self, weights: Mapping[dt.datetime, Mapping[str, float]]) -> "PeerRun":
        from benchmarks.peers.ml4t_engine import peer_run

        return peer_run(self.engine(weights))

    def floor(self) -> tuple[float, int]:
        from benchmarks.peers.numpy_loop import panel, trade

        return trade(self.spec, panel(self.bars, self.forecasts), first=_KNOWN)


def _spec(symbols: list[str], held: int) -> "PortfolioSpec":
    """No limit but the schedule's own: the engines would have to know it too."""
    from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, RiskLimits, Schedule, Sizing, Universe

    unlimited = Decimal(10) ** 9
    return PortfolioSpec(
        name="backtest",
        initial_cash_usd=Decimal(1_000_000),
        universe=Universe(symbols=tuple(symbols)),
        schedule=Schedule(every_bars=_EVERY),
        sizing=Sizing(method="top_k", top_k=held, min_order_usd=Decimal(0)),
        risk=RiskLimits(max_drawdown_pct=100, stop_loss_pct=100, max_order_notional_usd=unlimited),
        broker=BrokerRef(commission_bps=5, slippage_bps=2),
    )


def _same(ours: "BacktestResult", peer: "PeerRun", floor: tuple[float, int]) -> list[str]:
    """What was found equal; `AssertionError` otherwise."""
    from benchmarks.measure import same
    from benchmarks.peers.agreement import differing_fills

    equity = float(ours.nav_points[-1].nav_usd)
    differing = differing_fills(ours.fills, peer.fills)
    if differing or len(ours.fills) != floor[1]:
        raise AssertionError(f"{len(ours.fills)} fills, the floor {floor[1]}; differing: {differing[:5]}")
    return [
        f"Ours and ml4t-backtest: {len(ours.fills):,} fills with the same session, side, quantity, price, commission.",
        same("Equity at each close, ours and ml4t-backtest", *_aligned(ours, peer), 1e-7),
        same("Equity at the end, ours and the numpy loop", [equity], [floor[0]], 1e-7),
    ]


def _aligned(ours: "BacktestResult", peer: "PeerRun") -> tuple[Any, Any]:
    """Their curve has no opening point."""
    joined = ours.nav.join(peer.nav, on="at", suffix="_peer")
    return joined["nav_usd"].to_numpy(), joined["nav_usd_peer"].to_numpy()


def _stages() -> dict[str, tuple[Any, str]]:
    """Stage -> the method that is all of it."""
    from alphamill.adapters.brokers.paper.broker import PaperBroker
    from alphamill.adapters.memory.feature_table import FeatureTable
    from alphamill.adapters.memory.forecast_table import ForecastTable
    from alphamill.adapters.memory.ledger import InMemoryLedger
    from alphamill.features.history import BarHistory
    from alphamill.trading import desk
    from alphamill.trading.portfolio_trader import PortfolioTrader

    return {
        "feature table: made": (FeatureTable, "__init__"),
        "forecast table: made": (ForecastTable, "__init__"),
        "history: append a session": (BarHistory, "append"),
        "broker: actions and fills at the open": (PaperBroker, "on_bars"),
        "trader: prices and volumes": (desk, "market_at"),
        "trader: settle": (PortfolioTrader, "_settle"),
        "trader: decide": (PortfolioTrader, "_decide"),
        "trader: send": (PortfolioTrader, "send_committed"),
        "ledger: commit the decision": (InMemoryLedger, "commit"),
    }


@contextmanager
def _stopwatch(stages: Mapping[str, tuple[Any, str]]) -> Iterator[dict[str, tuple[int, float]]]:
    """Calls and seconds of each stage while the context lasts."""
    spent = dict.fromkeys(stages, (0, 0.0))
    plain = {stage: getattr(owner, name) for stage, (owner, name) in stages.items()}

    def timed(stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def measured(*arguments: Any, **named: Any) -> Any:
            start = perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                calls, secs = spent[stage]
                spent[stage] = calls + 1, secs + perf_counter() - start

        return measured

    try:
        for stage, (owner, name) in stages.items():
            setattr(owner, name, timed(stage, plain[stage]))
        yield spent
    finally:
        for stage, (owner, name) in stages.items():
            setattr(owner, name, plain[stage])


def _shares(spent: Mapping[str, tuple[int, float]], whole: float) -> list[tuple[str, str, str]]:
    lines = [(stage, f"{calls:,}", f"{secs / whole:.0%}") for stage, (calls, secs) in spent.items()]
    rest = 1 - sum(secs for _, secs in spent.values()) / whole
    return [*lines, ("the rest: sorting bars, alerts, reading the result", "-", f"{rest:.0%}")]


if __name__ == "__main__":
    main("backtest")
