"""Plays stored sessions into a running controller through its HTTP door, as a live feed would."""

import datetime as dt
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import polars as pl

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit, Unavailable
from alphamill.ports import LedgerView
from alphamill.runtimes.embedded import Child, Runtime, children, free_port

SESSION_SECS: Final = 30.0
READY_SECS: Final = 180.0
POLL_SECS: Final = 0.005


def split_sessions(raw: pl.DataFrame, sessions: int) -> tuple[dt.date, pl.DataFrame]:
    """The last session of history, and the bars of the `sessions` newest sessions after it.

    Raises
    ------
    DataUnfit
        There are not more sessions than that.
    """
    days = raw["session"].unique().sort()
    if days.len() <= sessions:
        raise DataUnfit(
            f"{days.len()} sessions are too few to replay {sessions}.", field="sessions", remedy="Replay fewer."
        )
    cut = days[-sessions - 1]
    return cut, raw.filter(pl.col("session") > cut).sort("session", "symbol")


def start_controller(runtime: Runtime) -> tuple[Child, str]:
    """The controller on the bars' own clock, as a child of the runtime; its URL once it can trade."""
    settings = runtime.settings
    port = settings.controller_port
    if not _is_free(settings.controller_host, port):
        port = free_port()
    own = settings.model_copy(update={"clock": "bars", "controller_port": port})
    child = runtime.start("controller", [sys.executable, "-m", "serving.controller"], settings=own)
    url = f"http://{settings.controller_host}:{port}"
    children.wait_ready(child, lambda: is_ready(url, runtime.home), timeout_secs=READY_SECS)
    return child, url


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_ready(url: str, home: Path) -> bool:
    """Whether the controller of this home answers and can trade.

    Another's may have taken the port since it was found free: bars sent there would be traded in its books.
    """
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10)
        return answer.status_code == 200 and answer.json().get("home") == str(home)
    except (httpx.HTTPError, ValueError):
        return False


def replay_bars(
    url: str, bars: pl.DataFrame, spec: PortfolioSpec, ledger: LedgerView, on_session: Callable[[int, int], None]
) -> int:
    """Send `bars` (`RAW_BAR_SCHEMA`) session by session; each is decided before the next is sent.

    Raises
    ------
    DataUnfit
        The controller refused a bar; with its own words.
    Unavailable
        The controller does not answer, or did not decide a session in time.
    """
    sessions = bars.filter(pl.col("symbol").is_in(spec.universe.symbols)).partition_by("session", maintain_order=True)
    with httpx.Client(base_url=url, timeout=SESSION_SECS) as client:
        for done, session in enumerate(sessions, start=1):
            for row in session.iter_rows(named=True):
                _post(client, row)
            day = session["session"][0]
            if spec.universe.trading(day).issubset(session["symbol"]):  # an incomplete one closes when time moves on
                _wait_decided(spec, ledger, day)
            on_session(done, len(sessions))
    return len(sessions)


def _post(client: httpx.Client, row: dict[str, object]) -> None:
    body = {**row, "date": str(row["session"])}
    del body["session"]
    try:
        answer = client.post("/api/data", json=body)
    except httpx.HTTPError as error:
        raise Unavailable(f"the controller does not answer: {error!r}.", remedy="See its log.") from error
    if answer.status_code != 200:
        raise DataUnfit(f"the controller refused {row['symbol']} of {row['session']}: {answer.text}")


def _wait_decided(spec: PortfolioSpec, ledger: LedgerView, session: dt.date) -> None:
    deadline = time.monotonic() + SESSION_SECS
    while True:
        decided = ledger.record(spec.name).last_decision_at
        if decided is not None and decided.date() >= session:
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"the controller did not decide {session} in {SESSION_SECS:g} s.", remedy="See its log.")
        time.sleep(POLL_SECS)
