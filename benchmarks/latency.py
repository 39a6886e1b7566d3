"""From the last bar of a session to its orders in the ledger, for 5, 50 and 500 names with 300 bars behind them.

The controller as `serve controller` wires it, in this process: engine, SQLite ledger and journal, Delta store, Feast,
paper broker. Redis and the KServe forecaster are processes of their own. All bars of a session arrive in one batch;
the clock stops when the decision and its orders are committed. Sending them, and metrics, come after.
Between two sessions the engine does what it does when nothing waits: it tidies the bars table.
"""

import asyncio
import datetime as dt
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command import main
from benchmarks.measure import Timing
from benchmarks.section import Aim, Row, Section, Table, figure, row
from benchmarks.stopwatch import Stopwatch

TITLE = "Bar in to orders committed"

PROSE = """
Few names cost what any session costs: some twenty small plans of Polars, a dozen SQL statements, one Parquet file, two
questions to Redis and two to the forecaster. Four commits wait for the disk before the orders are out: the journal, the
broker's log, the settlement, the decision. That is most of the way at 5 names and half of it at 50; no single stage
leads. At 500 names the newest features and their way into Redis and back lead. The features are computed from the first
bar on, so their share grows with history: the last column.

Out of the way by design: compacting the bars table and full garbage collections, which took 100 to 400 ms each and came
between a bar and its orders, run when nothing waits. The newest sessions are read from memory.

Next levers: features that look back a fixed number of bars need only those, so that only the recursive ones would grow
with history; rows of the journal as one compressed block instead of one row per bar; the merge into Delta at the same
time as the features, which needs the version before it is written.
"""

AIMS_MS = {50: 50.0, 500: 250.0}
#: In the order of the way. Each line: the stage, and what is timed for it.
STAGES = (
    "validate at the door",
    "journal: write, read, mark",
    "merge into Delta",
    "read the session",
    "history",
    "paper broker: fills",
    "newest features",
    "online write",
    "ledger: read",
    "ledger: settle",
    "online read",
    "forecast over v2",
    "weights",
    "rules and orders",
    "ledger: commit",
    "event, threads, the rest",
)


def measure(quick: bool) -> Section:
    from alphamill.runtimes.embedded import Runtime
    from alphamill.settings import Settings

    cases = ((50, 300, 4),) if quick else ((5, 300, 80), (50, 300, 200), (500, 300, 100), (50, 3_000, 40))
    rows: list[Row] = []
    columns: dict[str, list[dict[str, float]]] = {}
    checks: list[str] = []
    with TemporaryDirectory(prefix="alphamill-bench-") as folder, Runtime(Settings(home=Path(folder))) as runtime:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # Feast says what it makes
            _deploy(runtime)
        for number, (names, history, sessions) in enumerate(cases, start=1):
            trial = Trial(runtime, number, names, history)
            totals, stages = asyncio.run(trial.run(sessions, at_most_secs=9.0))
            what = f"{names} names, {history:,} bars behind"
            aim = Aim(AIMS_MS[names], of="ours") if history == 300 and names in AIMS_MS else None
            rows += [row(what, totals, statistic="p99", aim=aim), row(what, totals)]
            columns[what] = stages
            checks.append(f"{what}: {trial.said}")
    return Section(rows, [_table(columns)], checks)


def _table(columns: dict[str, list[dict[str, float]]]) -> Table:
    def cell(stages: list[dict[str, float]], stage: str) -> str:
        timing = Timing(tuple(spent.get(stage, 0.0) * 1e3 for spent in stages))
        return f"{figure(timing.median)} / {figure(timing.p99)}"

    lines = [(stage, *(cell(stages, stage) for stages in columns.values())) for stage in STAGES]
    return Table("Median / p99 of each stage in ms.", ("stage", *columns), lines)


class Trial:
    """One controller on stores of its own, and the sessions that it will see."""

    def __init__(self, runtime: Any, number: int, names: int, history: int) -> None:
        self.settings = _settings(runtime, number, names)
        self.names, self.history = names, history
        self.watch = Stopwatch()
        self.committed = 0.0
        self.spent: dict[str, float] = {}
        self.done = threading.Event()
        self.said = ""

    async def run(self, sessions: int, at_most_secs: float) -> tuple[Timing, list[dict[str, float]]]:
        """Feed sessions until they or the time are used up; elapsed seconds, and those of every stage."""
        from serving.controller.__main__ import keep_what_is_there
        from serving.controller.engine import Engine

        feed, parts = self._prepare(sessions)
        engine = Engine(parts.live, parts.bus, parts.metrics)
        try:
            await engine.start()
            self._instrument(parts, engine)
            keep_what_is_there()
            return await self._feed(feed, parts, engine, at_most_secs)
        finally:
            await engine.stop()
            parts.close()

    async def _feed(
        self, feed: list[Any], parts: Any, engine: Any, at_most_secs: float
    ) -> tuple[Timing, list[dict[str, float]]]:
        totals, stages = [], []
        until = time.perf_counter() + at_most_secs
        for bars in feed:
            self.watch.spent.clear()
            self.done.clear()
            start = time.perf_counter()
            await asyncio.to_thread(parts.live.accept, bars)
            engine.wake()
            if not await asyncio.to_thread(self.done.wait, 30.0):
                raise AssertionError("no decision within 30 s")
            totals.append(self.committed - start)
            rest = totals[-1] - sum(self.spent.values())
            stages.append({**self.spent, STAGES[-1]: self.spent.get(STAGES[-1], 0.0) + rest})
            await asyncio.to_thread(parts.live.tidy)
            if time.perf_counter() > until:
                break
        self._check(parts, len(totals))
        # The first sessions warm up.
        warm = min(5, len(totals) - 1)
        return Timing(tuple(totals[warm:])), stages[warm:]

    def _prepare(self, sessions: int) -> tuple[list[Any], Any]:
        """Store and features of the past, the controller's parts, and bars to come as they arrive at the door."""
        import polars as pl

        from alphamill.bootstrap import controller_parts, wiring
        from alphamill.domain.bars import RAW_BAR_SCHEMA
        from alphamill.proofs.synthetic_market import synthetic_market

        bars = synthetic_market(self.names, self.history + sessions, seed=1)
        first = bars["session"].unique().sort()[self.history]
        parts = wiring(self.settings)
        parts.bars().append(bars.filter(pl.col("session") < first))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            self._declare_features()
        raw = bars.filter(pl.col("session") >= first).select(RAW_BAR_SCHEMA.names()).sort("session", "symbol")
        return raw.partition_by("session", maintain_order=True), controller_parts(parts)

    def _declare_features(self) -> None:
        from alphamill.adapters.feast.repo import FeastRepo

        home, redis_url = self.settings.home.resolve(), self.settings.redis_url.get_secret_value()
        FeastRepo(self.settings.feature_repo, home / "features", redis_url).apply()

    def _instrument(self, parts: Any, engine: Any) -> None:
        from alphamill.trading import loop as loop_module
        from alphamill.trading import plan as plan_module

        live, loop, watch = parts.live, parts.live._loop, self.watch.wrap
        controller, door, journal, merge, read = loop.controllers[0], *STAGES[:4]
        history, fills, compute, write, load, settle, online, ask, weights, rules, commit, rest = STAGES[4:]
        watch(live, "_door", door)
        for name in ("append", "pending", "mark_merged"):
            watch(live._journal, name, journal)
        watch(live._store, "append", merge)
        for name in ("read", "version"):
            watch(live._store, name, read)
        watch(loop.history, "append", history)
        watch(loop_module, "market_at", history)
        watch(loop._listeners[-1], "on_bars", fills)
        watch(loop, "_refresh", compute)
        watch(controller._features, "write", write)
        watch(controller._features, "read", online)
        watch(controller._forecaster, "signature", ask)
        watch(controller._forecaster, "forecast", ask)
        watch(controller._ledger, "load", load)
        watch(controller._ledger, "settle", settle)
        watch(controller._ledger, "commit", commit, self._note_commit)
        watch(loop.history, "adjusted_returns", weights)
        watch(plan_module, "target_weights", weights)
        for name in ("check_targets", "propose_orders", "check_orders"):
            watch(plan_module, name, rules)
        watch(engine, "_process", rest, self.done.set)

    def _note_commit(self) -> None:
        self.committed, self.spent = time.perf_counter(), dict(self.watch.spent)

    def _check(self, parts: Any, sessions: int) -> None:
        """Every session was decided, with a forecast for every name, and orders were filled."""
        name = parts.live.specs[0].name
        decided = [d for d in parts.ledger.decisions(name) if d.source == "model"]
        if len(decided) != sessions or any(len(d.forecasts) != self.names or d.refusals for d in decided):
            refused = {(d.decided_at, d.refusals[:2]) for d in decided if d.refusals}
            raise AssertionError(f"{len(decided)} decisions of {sessions} sessions; refused: {refused}")
        orders, fills = parts.ledger.orders(name), parts.ledger.fills(name)
        assert fills
        self.said = (
            f"{sessions} sessions, each with a decision, {self.names} forecasts and no refusal; "
            f"{len(orders)} orders, {len(fills)} fills."
        )


def _settings(runtime: Any, number: int, names: int) -> Any:
    import yaml

    home = runtime.home
    spec = {
        "initial_cash_usd": "10000000",
        "universe": {"symbols": [f"SYN{i:03d}" for i in range(names)], "calendar": "XNYS"},
        "sizing": {"max_weight": max(0.05, 0.5 if names < 10 else 0.0)},
        "risk": {"max_order_notional_usd": "10000000"},
    }
    document = {"apiVersion": "alphamill.dev/v1alpha1", "kind": "Portfolio", "metadata": {"name": f"bench-{number}"}}
    portfolio = home / f"portfolio-{number}.yaml"
    portfolio.write_text(yaml.safe_dump({**document, "spec": spec}))
    own = {
        "portfolios": (portfolio,),
        "redis_url": f"{runtime.settings.redis_url.get_secret_value().rpartition('/')[0]}/{number}",
        "lake_uri": str(home / f"lake-{number}"),
        "ledger_dsn": f"sqlite:///{home / f'ledger-{number}.db'}",
        "clock": "bars",
    }
    return runtime.settings.model_copy(update=own)


def _deploy(runtime: Any) -> None:
    """Our model server with a network of the size that is trained, as the runtime's deployment."""
    from alphamill.adapters.kserve.health import ready
    from alphamill.domain.models import Deployment
    from alphamill.features import MODEL_FEATURES, newest
    from alphamill.features.history import BarHistory
    from alphamill.proofs.synthetic_market import synthetic_market
    from alphamill.runtimes.embedded import children, deployments, free_port
    from benchmarks.model import write_model

    sample = newest(BarHistory.from_bars(synthetic_market(50, 100, seed=2)), MODEL_FEATURES)
    write_model(runtime.home / "model", MODEL_FEATURES, sample.select(MODEL_FEATURES).to_numpy())
    url = f"http://127.0.0.1:{(port := free_port())}"
    options = ["--model-dir", str(runtime.home / "model"), "--model-version", "1", "--host", "127.0.0.1"]
    command = [sys.executable, "-m", "serving.forecaster", *options, "--http-port", str(port)]
    child = runtime.start("forecaster-1", command)
    children.wait_ready(child, lambda: ready(url), timeout_secs=120)
    now = dt.datetime.now(dt.UTC)
    about = Deployment(service="forecaster", model_id="forecaster-1", url=url, status="deployed", updated_at=now)
    deployments.write(runtime.home, deployments.LocalDeployment(about, child))


if __name__ == "__main__":
    main("latency")
