"""From the last bar of a session to its orders in the ledger, for 5, 50 and 500 names with 300 bars behind them.

Gateway and trader as `serve gateway` and `serve trader` wire them, but both in this process, on one event loop: SQLite
ledger and journal, Delta store, Feast, paper broker. They share no part; the bars table, the ledger and the event on a
Redis stream are between them. Redis and the KServe forecaster are processes of their own. All bars of a session arrive
in one batch at the gateway's door, without HTTP; the clock stops when the decision and its orders are committed to the
ledger. Sending them, status and metrics come after. Between two sessions both do what they do when nothing waits: the
gateway tidies the bars table, the trader looks at it.
"""

import asyncio
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
Few names cost what any session costs: some twenty small plans of Polars, thirty SQL statements, one Parquet file that
the gateway writes and the trader reads, an event and two questions to Redis, and two to the forecaster. Four commits
wait for the disk before the orders are out: the journal, the broker's log, the settlement, the decision. At
500 names the newest features, their way into Redis and the rows of the journal weigh most. The features are computed
from the first bar on, so their share grows with history: the last column.

Out of the way by design: compacting the bars table and full garbage collections, which took 100 to 400 ms each and came
between a bar and its orders, run when nothing waits. That bars are new the gateway sees in memory; the trader opens no
data file but the new one. A decision gets the features that were written, and does not ask Redis for them.

**Why the aims are missed.** This machine was slower on that day: the one process that gateway and trader were before
took 92 ms at 50 names and 256 ms at 500 (medians; p99 118 and 295), a minute after these figures. What two processes
cost more is that the trader learns of a session from the table: it reads the new commits of its log, lists the
version's files, and reads the new one. What they save is that features are not read back.

Next levers: features that look back a fixed number of bars need only those; the way into Redis beside the decision
instead of before it; rows of the journal as one compressed block instead of one row per bar.
"""

AIMS_MS = {50: 50.0, 500: 250.0}
#: In the order of the way. Each line: the stage, and what is timed for it.
STAGES = (
    "gateway: validate at the door",
    "gateway: journal: write, read, mark",
    "gateway: find what is complete",
    "gateway: merge into Delta",
    "event over Redis",
    "trader: lease",
    "trader: read the session",
    "trader: history and prices",
    "trader: paper broker: fills",
    "trader: newest features",
    "trader: online write",
    "trader: ledger: read",
    "trader: paper broker: asked",
    "trader: ledger: settle",
    "trader: forecast over v2",
    "trader: weights",
    "trader: rules and orders",
    "trader: ledger: commit",
    "threads, the rest",
)


def measure(quick: bool) -> Section:
    from alphamill.runtimes.embedded import Runtime
    from alphamill.settings import Settings
    from benchmarks.model import deploy_model

    cases = ((50, 300, 4),) if quick else ((5, 300, 80), (50, 300, 200), (500, 300, 100), (50, 3_000, 40))
    rows: list[Row] = []
    columns: dict[str, list[dict[str, float]]] = {}
    checks: list[str] = []
    with TemporaryDirectory(prefix="alphamill-bench-") as folder, Runtime(Settings(home=Path(folder))) as runtime:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # Feast says what it makes
            deploy_model(runtime)
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
    """One gateway and one trader on stores of their own, and the sessions that they will see."""

    def __init__(self, runtime: Any, number: int, names: int, history: int) -> None:
        self.settings = _settings(runtime, number, names)
        self.number, self.names, self.history = number, names, history
        self.watch = Stopwatch()
        self.merged = self.committed = 0.0
        self.spent: dict[str, float] = {}
        self.done, self.tidied = threading.Event(), threading.Event()
        self.said = ""

    async def run(self, sessions: int, at_most_secs: float) -> tuple[Timing, list[dict[str, float]]]:
        """Feed sessions until they or the time are used up; elapsed seconds, and those of every stage."""
        from serving.collector import keep_what_is_there
        from serving.gateway.parts import gateway_parts
        from serving.trader.parts import trading_loop

        feed = self._prepare(sessions)
        gateway = gateway_parts(self.settings)
        loop, _ = trading_loop(self.settings)
        # The bus is handed this method when the loop starts.
        self.watch.wrap(loop, "_woken", STAGES[-1], self._note_event)
        try:
            await gateway.merging.start()
            await loop.start()
            while not loop.rounds:  # in the first one it gets the lease, reads the past and opens its books
                await asyncio.sleep(0.01)
            if not loop.acting:
                raise AssertionError("the trader does not trade; its log says why")
            self._instrument_gateway(gateway)
            self._instrument_trader(loop)
            keep_what_is_there()
            return await self._feed(feed, gateway, loop, at_most_secs)
        finally:
            await loop.stop()
            await gateway.merging.stop()
            gateway.close()

    async def _feed(
        self, feed: list[Any], gateway: Any, loop: Any, at_most_secs: float
    ) -> tuple[Timing, list[dict[str, float]]]:
        totals, stages = [], []
        until = time.perf_counter() + at_most_secs
        for bars in feed:
            self.merged = self.committed = 0.0
            self.watch.spent.clear()
            self.done.clear()
            start = time.perf_counter()
            await asyncio.to_thread(gateway.door.accept, bars)
            gateway.merging.wake()
            if not await asyncio.to_thread(self.done.wait, 30.0):
                raise AssertionError("no decision within 30 s")
            totals.append(self.committed - start)
            rest = totals[-1] - sum(self.spent.values())
            stages.append({**self.spent, STAGES[-1]: self.spent.get(STAGES[-1], 0.0) + rest})
            await self._settle_down(gateway, loop)
            if time.perf_counter() > until:
                break
        self._check(gateway, len(totals))
        warm = min(5, len(totals) - 1)  # the first sessions warm up
        return Timing(tuple(totals[warm:])), stages[warm:]

    async def _settle_down(self, gateway: Any, loop: Any) -> None:
        """A day between two sessions: the gateway tidies the table, and the trader has seen that."""
        self.tidied.clear()
        gateway.merging.wake()
        await asyncio.to_thread(self.tidied.wait, 30.0)
        rounds = loop.rounds
        gateway.merging.wake_trader(f"bench-{self.number}")
        while loop.rounds == rounds:
            await asyncio.sleep(0.001)

    def _prepare(self, sessions: int) -> list[Any]:
        """Store and features of the past; bars to come as they arrive at the door."""
        import polars as pl

        from alphamill.bootstrap import wiring
        from alphamill.domain.bars import RAW_BAR_SCHEMA
        from alphamill.proofs.synthetic_market import synthetic_market

        bars = synthetic_market(self.names, self.history + sessions, seed=1)
        first = bars["session"].unique().sort()[self.history]
        wiring(self.settings).bars().append(bars.filter(pl.col("session") < first))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            self._declare_features()
        raw = bars.filter(pl.col("session") >= first).select(RAW_BAR_SCHEMA.names()).sort("session", "symbol")
        return raw.partition_by("session", maintain_order=True)

    def _declare_features(self) -> None:
        from alphamill.adapters.feast.repo import FeastRepo

        home, redis_url = self.settings.home.resolve(), self.settings.redis_url.get_secret_value()
        FeastRepo(self.settings.feature_repo, home / "features", redis_url).apply()

    def _instrument_gateway(self, gateway: Any) -> None:
        watch, door = self.watch.wrap, gateway.door
        validate, journal, complete, merge = STAGES[:4]
        watch(door, "_check", validate)
        for name in ("append", "pending", "mark_merged"):
            watch(door._journal, name, journal)
        watch(door, "merge", complete, self._note_merge)
        for name in ("append", "version"):
            watch(door._store, name, merge)
        watch(gateway.merging, "_tidy", STAGES[-1], self.tidied.set)

    def _instrument_trader(self, loop: Any) -> None:
        from alphamill.trading import desk as desk_module
        from alphamill.trading import plan as plan_module

        watch, trader = self.watch.wrap, loop._trading.trader
        desk, portfolio, ledger = trader._followers[0].desk, trader.portfolios()[0], trader._ledger
        lease, read, history, fills, compute, write, load = STAGES[5:12]
        ask_broker, settle, ask, weights, rules, commit, rest = STAGES[12:]
        watch(loop._lease, "acquire", lease)
        watch(trader, "_take", read)
        for name in ("version", "changes"):
            watch(trader._store, name, read)
        watch(desk.history, "append", history)
        watch(desk_module, "market_at", history)
        watch(portfolio._broker, "on_bars", fills)
        watch(desk, "refresh_features", compute)
        watch(desk._features._online, "write", write)
        for name in ("record", "trail", "pending_target"):
            watch(ledger, name, load)
        for name in ("order", "events", "account", "cancel"):
            watch(portfolio._broker, name, ask_broker)
        watch(ledger, "settle", settle)
        for name in ("signature", "forecast"):
            watch(portfolio._forecaster, name, ask)
        watch(desk.history, "adjusted_returns", weights)
        watch(plan_module, "target_weights", weights)
        for name in ("check_targets", "propose_orders", "check_orders"):
            watch(plan_module, name, rules)
        watch(ledger, "commit", commit, self._note_commit)
        watch(loop, "_round", rest, self._note_round)

    def _note_merge(self) -> None:
        self.merged = time.perf_counter()

    def _note_event(self) -> None:
        # From the end of the merge to the trader's waking; the wake between two sessions is not on the way.
        if self.merged:
            self.watch.spent[STAGES[4]] += time.perf_counter() - self.merged

    def _note_commit(self) -> None:
        self.committed, self.spent = time.perf_counter(), dict(self.watch.spent)

    def _note_round(self) -> None:
        # One that began before the bars came decides nothing.
        if self.committed:
            self.done.set()

    def _check(self, gateway: Any, sessions: int) -> None:
        """Every session was decided, with a forecast for every name, and orders were filled."""
        name, ledger = f"bench-{self.number}", gateway.ledger
        decided = [d for d in ledger.decisions(name) if d.source == "model"]
        if len(decided) != sessions or any(len(d.forecasts) != self.names or d.refusals for d in decided):
            refused = {(d.decided_at, d.refusals[:2]) for d in decided if d.refusals}
            raise AssertionError(f"{len(decided)} decisions of {sessions} sessions; refused: {refused}")
        orders, fills = ledger.orders(name), ledger.fills(name)
        assert fills
        self.said = (
            f"{sessions} sessions, each with a decision, {self.names} forecasts and no refusal; "
            f"{len(orders)} orders, {len(fills)} fills."
        )


def _settings(runtime: Any, number: int, names: int) -> Any:
    import yaml

    from alphamill.secret_url import SecretUrl

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
        "redis_url": SecretUrl(f"{runtime.settings.redis_url.get_secret_value().rpartition('/')[0]}/{number}"),
        "lake_uri": SecretUrl(str(home / f"lake-{number}")),
        "ledger_dsn": SecretUrl(f"sqlite:///{home / f'ledger-{number}.db'}"),
        "clock": "bars",
    }
    return runtime.settings.model_copy(update=own)


if __name__ == "__main__":
    main("latency")
