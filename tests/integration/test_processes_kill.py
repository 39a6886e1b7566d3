"""kill -9 and SIGSTOP of real gateways and traders at seeded moments: books and trades end as if nobody had died."""

import datetime as dt
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import polars as pl
import pytest
import yaml
from drill.audit import Evidence, difference, violations
from typer.testing import CliRunner

from alphamill import environment
from alphamill.adapters.sql import SqlLedger, SqlLedgerView
from alphamill.bootstrap import wiring
from alphamill.cli.__main__ import app
from alphamill.domain.models import Deployment
from alphamill.domain.portfolios import PortfolioSpec, load_portfolio
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.runtimes.embedded import Child, deployments, free_port
from alphamill.runtimes.embedded.deployments import LocalDeployment
from alphamill.settings import Settings

HISTORY, AHEAD, KILLS = 160, 7, 3
DEADLINE_SECS = 60.0
SYMBOLS = ["SYN000", "SYN001", "SYN002"]

#: Imports what the processes import, once; then each line it reads is the environment of one more of them.
#: It goes, and they go with it, when its standard input ends: however this test ends, nothing is left behind.
ZYGOTE = """
import json, os, signal, sys
import serving.gateway.__main__ as gateway
import serving.trader.__main__ as trader
import alphamill.adapters.brokers.paper.broker, alphamill.adapters.delta.bar_store, alphamill.adapters.redis.events
import alphamill.adapters.feast.online_features, alphamill.adapters.sql, alphamill.adapters.kserve.v2
import alphamill.features, alphamill.ingestion, alphamill.validation, mlflow
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
pids = []
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.environ.update(json.loads(line))
        if "PRIME" in os.environ:
            from alphamill.bootstrap import wiring
            from alphamill.settings import load_settings
            parts = wiring(load_settings())
            parts.offline_features().write(alphamill.features.compute(parts.bars().read()))
            print("primed", flush=True)
            os._exit(0)
        log = os.open(os.environ["PROCESS_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        {"gateway": gateway, "trader": trader}[os.environ["PROCESS"]].main()
        os._exit(0)
    pids.append(pid)
    if "PRIME" not in line:
        print(pid, flush=True)
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


#: The third feature of the tiny model, strong enough to change what is held from day to day.
EXTENSION = """
from alphamill.features import Prices, feature

@feature("vol_21", inputs=("open", "close"), warm_up=0)
def vol_21(w: Prices):
    return w.close / w.open - 1.0
"""


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + DEADLINE_SECS
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"{what}: not within {DEADLINE_SECS:g} s")
        time.sleep(0.01)


@pytest.fixture(scope="module")
def zygote() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", ZYGOTE]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(environment.PREFIX)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate(timeout=20)


GATEWAY, TRADER, SECOND = "gateway", "trader", "second trader"


@dataclass
class Desk:
    """One home, its books, and the processes that run on it."""

    zygote: subprocess.Popen[str]
    home: Path
    redis_url: str
    spec: PortfolioSpec
    ahead: list[pl.DataFrame]
    aside: pl.DataFrame
    pids: dict[str, int] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, redis_url=self.redis_url)

    def start(self, *names: str) -> None:
        """Start processes and wait until they answer."""
        for name in names or (TRADER, GATEWAY):
            port = str(free_port())
            kind = GATEWAY if name == GATEWAY else TRADER
            self.pids[name] = int(self._ask_zygote(PROCESS=kind, **{f"ALPHAMILL_{kind.upper()}_PORT": port}))
            self.urls[name] = f"http://127.0.0.1:{port}"
            self.starts[name] += 1
            _wait_until(lambda name=name: self.get(name, "/readyz") is not None, f"the start of the {name}")

    def get(self, name: str, path: str) -> dict[str, object] | None:
        """The answer of a process, None unless it is 200."""
        try:
            answer = self.client.get(self.urls[name] + path)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def prime(self) -> None:
        """Declare the features of this home, as `alphamill features` does."""
        assert self._ask_zygote(PRIME="1") == "primed\n"

    def _ask_zygote(self, **more: str) -> str:
        environ = {
            "ALPHAMILL_HOME": str(self.home),
            "ALPHAMILL_REDIS_URL": self.redis_url,
            "ALPHAMILL_PORTFOLIOS": json.dumps([str(self.home / "portfolio.yaml")]),
            "ALPHAMILL_CLOCK": "bars",
            "ALPHAMILL_LEASE_TTL_SECS": "1",
            "ALPHAMILL_MLFLOW_TRACKING_URI": f"sqlite:///{self.home.parent}/mlflow.db",  # its tables take seconds
            "ALPHAMILL_EXTENSIONS": json.dumps([str(self.home / "kill_features.py")]),
            "PROCESS_LOG": str(self.home / "processes.log"),
            **more,
        }
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(json.dumps(environ) + "\n")
        self.zygote.stdin.flush()
        return self.zygote.stdout.readline()

    def kill(self, *names: str) -> None:
        for name in names or list(self.pids):
            os.kill(self.pids.pop(name), signal.SIGKILL)

    def trade(self, session: pl.DataFrame, *, kill: tuple[str, float] | None = None) -> None:
        """Post a session until every bar is acknowledged, and wait for its decision; start again what was killed."""
        killer = threading.Timer(kill[1], self.kill, [kill[0]]) if kill is not None else None
        if killer:
            killer.start()
        for row in session.select("symbol", "session", "open", "high", "low", "close", "volume").to_dicts():
            body = {**row, "date": str(row.pop("session"))}
            body.pop("session")
            while not self._posted(body):
                if GATEWAY not in self.pids:
                    self.start(GATEWAY)
        if killer:
            killer.join()
            for name in {GATEWAY, TRADER}.difference(self.pids):
                self.start(name)
        _wait_until(lambda: self.decided() >= session["ts"][0], f"decision of {session['session'][0]}")

    def _posted(self, body: dict[str, object]) -> bool:
        try:
            return self.client.post(self.urls[GATEWAY] + "/api/data", json=body).status_code == 200
        except httpx.HTTPError:
            return False

    def decided(self) -> dt.datetime:
        reader = self.reader()
        try:
            return reader.record("kill").last_decision_at or dt.datetime.min.replace(tzinfo=dt.UTC)
        finally:
            reader.close()

    def run(self, kills: dict[int, tuple[str, float]]) -> None:
        """All sessions; `kills` says which process is killed after how many seconds of which session."""
        self.start()
        for number, session in enumerate(self.ahead):
            self.trade(session, kill=kills.get(number))
        self.settle_down()
        self.kill()

    def settle_down(self) -> None:
        """What the last decision committed is sent within a tick."""
        _wait_until(lambda: all(o.status != "pending" for o in self.reader().orders("kill")), "the last orders")

    def reader(self) -> SqlLedgerView:
        return SqlLedgerView(f"sqlite:///{self.home}/ledger.db")

    def violations(self) -> list[str]:
        broker = wiring(self.settings).broker(self.spec)
        ledger = SqlLedger(self.settings.ledger_url)
        evidence = Evidence(
            spec=self.spec,
            pages=ledger,
            record=ledger.record(self.spec.name),
            broker=broker,
            sent=[order for d in ledger.decisions("kill") for order in d.orders if broker.order(order.id)],
            bars=wiring(self.settings).bars().read(),
            closes=[session["ts"][0] for session in self.ahead],
        )
        found = violations(evidence)
        ledger.close()
        return found


@pytest.fixture(scope="module")
def desk(zygote, runtime, forecaster_url, tmp_path_factory) -> Iterator[Callable[[int], Desk]]:
    """A fresh home with the same history; the number also picks a database of the Redis server."""
    market = (
        synthetic_market(3, HISTORY + AHEAD + 1, seed=5).sort("ts", "symbol").partition_by("ts", maintain_order=True)
    )
    document = {
        "apiVersion": "alphamill.dev/v1alpha1",
        "kind": "Portfolio",
        "metadata": {"name": "kill"},
        "spec": {
            "universe": {"symbols": SYMBOLS},
            "sizing": {"method": "top_k", "top_k": 1, "max_weight": 0.5, "covariance_bars": 60},
        },
    }

    desks: list[Desk] = []

    def make(number: int) -> Desk:
        home = tmp_path_factory.mktemp(f"kill{number}")
        (home / "portfolio.yaml").write_text(yaml.safe_dump(document))
        (home / "kill_features.py").write_text(EXTENSION)
        redis_url = f"{runtime.settings.redis_url.get_secret_value().rpartition('/')[0]}/{number + 1}"
        made = Desk(zygote, home, redis_url, load_portfolio(home / "portfolio.yaml"), market[HISTORY:-1], market[-1])
        wiring(made.settings).bars().append(pl.concat(market[:HISTORY]))
        now = dt.datetime.now(dt.UTC)
        deployment = Deployment(
            service="forecaster", model_id="forecaster-1", url=forecaster_url, status="deployed", updated_at=now
        )
        child = Child("forecaster", os.getpid(), "", os.getpid(), "", home / "none.log")
        deployments.write(home, LocalDeployment(deployment, child))
        made.prime()
        desks.append(made)
        return made

    yield make
    for made in desks:
        made.client.close()


@pytest.fixture(scope="module")
def unkilled(desk) -> Desk:
    made = desk(0)
    made.run({})
    return made


def test_a_run_that_nobody_killed_trades_in_every_session(unkilled) -> None:
    assert unkilled.violations() == []
    orders = unkilled.reader().orders("kill")
    assert len({order.decided_at for order in orders}) >= 3
    assert unkilled.starts == {GATEWAY: 1, TRADER: 1}


def assert_same(ours: SqlLedgerView, theirs: SqlLedgerView) -> None:
    """The same decisions, orders, fills and books; how often they were written does not count."""
    pages = [getattr(side, page)("kill") for page in ("decisions", "orders") for side in (ours, theirs)]
    assert difference(*pages) == ("", True)
    for page in ("orders", "fills", "nav_points"):
        assert getattr(ours, page)("kill") == getattr(theirs, page)("kill"), page
    one, other = (replace(side.record("kill"), revision=0, bars_version=0) for side in (ours, theirs))
    assert one == other


@pytest.mark.parametrize("seed", [1, 2])
def test_processes_killed_at_random_moments_trade_what_they_would_have_traded(desk, unkilled, seed: int) -> None:
    rng = random.Random(seed)
    killed = desk(seed)
    names = [TRADER, GATEWAY, rng.choice((TRADER, GATEWAY))]
    at = rng.sample(range(AHEAD), KILLS)
    killed.run({number: (name, rng.uniform(0.0, 0.12)) for number, name in zip(at, names, strict=True)})
    assert killed.starts.total() == KILLS + 2
    assert killed.violations() == []
    assert_same(killed.reader(), unkilled.reader())


def test_a_stopped_trader_is_replaced_within_the_lease_time_and_stands_by_when_it_goes_on(desk, unkilled) -> None:
    rng, stopped = random.Random(7), desk(3)
    stopped.start(TRADER, SECOND, GATEWAY)
    acting, waiting = TRADER, SECOND
    for session in stopped.ahead:
        _wait_until(lambda acting=acting: _acts(stopped, acting), "a trader that acts")
        pause = threading.Timer(rng.uniform(0.0, 0.1), _freeze, [stopped, acting])
        pause.start()
        for row in session.select("symbol", "session", "open", "high", "low", "close", "volume").to_dicts():
            body = {**row, "date": str(row["session"])}
            body.pop("session")
            assert stopped._posted(body)
        pause.join()
        since = time.monotonic()
        _wait_until(lambda waiting=waiting: _acts(stopped, waiting), "the other trader")
        assert time.monotonic() - since < 10, "a lease of one second, and a trader's start"
        _wait_until(lambda session=session: stopped.decided() >= session["ts"][0], "the decision")
        os.kill(stopped.pids[acting], signal.SIGCONT)
        _wait_until(lambda acting=acting: not _acts(stopped, acting), "the loser to stand by")
        acting, waiting = waiting, acting
    stopped.settle_down()
    stopped.kill()
    assert stopped.starts.total() == 3
    assert stopped.violations() == []
    assert_same(stopped.reader(), unkilled.reader())


def _acts(desk: Desk, name: str) -> bool:
    answer = desk.get(name, "/readyz")
    return answer is not None and answer["acting"] is True


def _freeze(desk: Desk, name: str) -> None:
    """SIGSTOP at a moment at which the process does not hold SQLite's one write lock: nobody could write then."""
    database = sqlite3.connect(desk.home / "ledger.db", timeout=0.0, isolation_level=None)
    while True:
        os.kill(desk.pids[name], signal.SIGSTOP)
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(desk.pids[name], signal.SIGCONT)
        else:
            database.execute("ROLLBACK")
            database.close()
            return


def test_a_halt_by_the_command_line_while_nothing_runs_is_obeyed_at_the_next_start(
    unkilled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPHAMILL_HOME", str(unkilled.home))
    monkeypatch.setenv("ALPHAMILL_REDIS_URL", "redis://127.0.0.1:1/0")  # nobody is there
    monkeypatch.setenv("ALPHAMILL_PORTFOLIOS", json.dumps([str(unkilled.home / "portfolio.yaml")]))
    halted = CliRunner().invoke(app, ["portfolio", "halt", "--reason", "drill"])
    assert halted.exit_code == 0, halted.output
    before = unkilled.reader().orders("kill")
    unkilled.start()
    unkilled.trade(unkilled.aside)
    unkilled.kill()
    after = unkilled.reader()
    assert [refusal.code for refusal in after.decisions("kill")[-1].refusals] == ["HALTED"]
    assert [order.id for order in after.orders("kill")] == [order.id for order in before]


def test_a_trader_whose_brokers_books_are_gone_sends_nothing_and_says_that_it_cannot_trade(unkilled) -> None:
    orders = len(unkilled.reader().orders("kill"))
    for file in unkilled.home.glob("paper_broker_kill.db*"):
        file.unlink()
    unkilled.start()

    def reasons() -> str:
        return json.dumps((unkilled.get(GATEWAY, "/api/portfolios/kill") or {}).get("tradability"))

    _wait_until(lambda: "ledger and broker disagree" in reasons(), "the trader's word")
    broker = wiring(unkilled.settings).broker(unkilled.spec)
    assert [broker.order(order.id) for order in unkilled.reader().orders("kill")] == [None] * orders
    unkilled.kill()
