"""Gateway and trader as children, and stored sessions played into them as a live feed would."""

import datetime as dt
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import polars as pl

from alphamill.bootstrap import wiring
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import DataUnfit, Unavailable
from alphamill.ports import LedgerView
from alphamill.runtimes.embedded import Runtime, children, free_port
from alphamill.settings import Settings

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


def start_trading(runtime: Runtime, settings: Settings) -> str:
    """Gateway and trader as children of the runtime, which may die one without the other; the gateway's URL.

    Waits until the gateway serves and every portfolio has been opened by the trader.
    """
    own = settings.model_copy(
        update={
            "gateway_port": _port(settings.gateway_host, settings.gateway_port),
            "trader_port": _port(settings.trader_host, settings.trader_port),
        }
    )
    trader = runtime.start("trader", [sys.executable, "-m", "serving.trader"], settings=own)
    gateway = runtime.start("gateway", [sys.executable, "-m", "serving.gateway"], settings=own)
    url = f"http://{own.gateway_host}:{own.gateway_port}"
    names = [spec.name for spec in wiring(own).portfolios()]
    children.wait_ready(gateway, lambda: is_ready(url, runtime.home), timeout_secs=READY_SECS)
    children.wait_ready(trader, lambda: all(is_tradable(url, name) for name in names), timeout_secs=READY_SECS)
    return url


def start_replay(runtime: Runtime) -> str:
    """As `start_trading`, on the bars' own clock."""
    return start_trading(runtime, runtime.settings.model_copy(update={"clock": "bars"}))


def _port(host: str, wanted: int) -> int:
    return wanted if _is_free(host, wanted) else free_port()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_ready(url: str, home: Path) -> bool:
    """Whether the gateway of this home answers and can serve.

    Another's may have taken the port since it was found free: bars sent there would be traded in its books.
    """
    try:
        answer = httpx.get(f"{url}/readyz", timeout=10)
        return answer.status_code == 200 and answer.json().get("home") == str(home)
    except (httpx.HTTPError, ValueError):
        return False


def is_tradable(url: str, portfolio: str) -> bool:
    """Whether the trader has opened a portfolio and says that it can trade."""
    try:
        answer = httpx.get(f"{url}/api/portfolios/{portfolio}", timeout=10)
        return answer.status_code == 200 and bool(answer.json()["tradability"]["tradable"])
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def replay_bars(
    url: str, bars: pl.DataFrame, spec: PortfolioSpec, ledger: LedgerView, on_session: Callable[[int, int], None]
) -> int:
    """Send `bars` (`RAW_BAR_SCHEMA`) session by session; each is decided before the next is sent.

    Raises
    ------
    DataUnfit
        The gateway refused a bar; with its own words.
    Unavailable
        The gateway does not answer, or the trader did not decide a session in time.
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
        raise Unavailable(f"the gateway does not answer: {error!r}.", remedy="See its log.") from error
    if answer.status_code != 200:
        raise DataUnfit(f"the gateway refused {row['symbol']} of {row['session']}: {answer.text}")


def _wait_decided(spec: PortfolioSpec, ledger: LedgerView, session: dt.date) -> None:
    deadline = time.monotonic() + SESSION_SECS
    while True:
        decided = ledger.record(spec.name).last_decision_at
        if decided is not None and decided.date() >= session:
            return
        if time.monotonic() > deadline:
            raise Unavailable(f"the trader did not decide {session} in {SESSION_SECS:g} s.", remedy="See its log.")
        time.sleep(POLL_SECS)
