"""`alphamill demo --keep` on a synthetic market of our own, once for the module; its bars to come are kept aside."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import polars as pl
import psutil
import pytest
import yaml

from alphamill.proofs.synthetic_market import synthetic_market

SYMBOLS = ("SYN000", "SYN001", "SYN002", "SYN003")
SESSIONS, TRADED, ASIDE = 760, 5, 6
DEADLINE_SECS = 420.0
COLUMNS = ["symbol", "session", "open", "high", "low", "close", "volume"]


def wait_until(condition: Callable[[], bool], what: str, deadline_secs: float = 60.0) -> None:
    until = time.monotonic() + deadline_secs
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"{what}: not within {deadline_secs:g} s")
        time.sleep(0.05)


@dataclass(frozen=True)
class Demo:
    """A running demo: where it lives, where it answers, and bars it has not seen."""

    process: subprocess.Popen[bytes]
    home: Path
    output: Path
    client: httpx.Client
    aside: list[pl.DataFrame]

    wait_until = staticmethod(wait_until)

    def pids(self, word: str = "") -> list[int]:
        """Processes of this demo whose command line holds `word`."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("ALPHAMILL_HOME") == str(self.home)
                if ours and word in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found

    def post(self, session: pl.DataFrame) -> None:
        for row in session.select(COLUMNS).iter_rows(named=True):
            body = {**row, "date": str(row["session"])}
            del body["session"]
            answer = self.client.post("/api/data", json=body)
            assert answer.status_code == 200, answer.text

    def portfolio(self) -> dict:  # type: ignore[type-arg]
        return dict(self.client.get("/api/portfolios/small").json())

    def trade(self, session: pl.DataFrame) -> dict:  # type: ignore[type-arg]
        """Post a session and wait for its decision."""
        self.post(session)
        day = str(session["session"][0])
        wait_until(lambda: self.portfolio()["last_decision_at"] >= day, f"decision of {day}")
        return self.portfolio()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    bars = synthetic_market(len(SYMBOLS), SESSIONS + ASIDE, seed=11, signal_ic=0.2)
    days = bars["session"].unique().sort()
    (folder / "feed").mkdir()
    known = bars.filter(pl.col("session") < days[SESSIONS]).select(COLUMNS)
    known.rename({"session": "date"}).write_csv(folder / "feed" / "bars.csv")
    aside = (
        bars.filter(pl.col("session") >= days[SESSIONS]).sort("ts", "symbol").partition_by("ts", maintain_order=True)
    )
    document = {
        "apiVersion": "alphamill.dev/v1alpha1",
        "kind": "Portfolio",
        "metadata": {"name": "small"},
        "spec": {"universe": {"symbols": list(SYMBOLS)}},
    }
    (folder / "portfolio.yaml").write_text(yaml.safe_dump(document))
    output = folder / "output.txt"
    command = [sys.executable, "-m", "alphamill.cli", "demo", "--keep", "--feed", str(folder / "feed")]
    command += ["--sessions", str(TRADED), "--trials", "2", "--portfolio", str(folder / "portfolio.yaml")]
    environ = {**os.environ, "ALPHAMILL_HOME": str(folder / "home"), "COLUMNS": "200"}
    environ["ALPHAMILL_EXIT_WITH_PARENT"] = str(os.getpid())  # a killed test run leaves no demo behind
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environ, start_new_session=True)
    home = folder / "home" / "demo"
    try:
        wait_until(
            lambda: "services stay up" in output.read_text() or process.poll() is not None, "the demo", DEADLINE_SECS
        )
        assert process.poll() is None, output.read_text()
        url = next(line.split()[1] for line in output.read_text().splitlines() if line.startswith("API"))
        with httpx.Client(base_url=url.removesuffix("/docs"), timeout=30) as client:
            yield Demo(process, home, output, client, aside)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
