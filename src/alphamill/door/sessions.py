"""When a session is complete enough to decide on."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

import polars as pl


def closed_sessions(
    pending: pl.DataFrame,
    *,
    expected: Callable[[dt.datetime], frozenset[str]],
    merged: dt.datetime,
    now: dt.datetime,
    grace: dt.timedelta,
) -> Iterator[pl.DataFrame]:
    """Sessions of the journal that may be merged now, oldest first.

    A session not newer than `merged` holds corrections or late bars and is always ready. A newer one is ready when
    every symbol `expected` at its close is there (a symbol that is delisted by then is not), when `grace` has passed
    since its close, or when the feed has moved on: a majority is there and each of them already has a later bar.
    Sessions after the first incomplete one wait, so that none is decided out of order.
    """
    sessions = pending.sort("ts", "symbol").partition_by("ts", maintain_order=True)
    for position, session in enumerate(sessions):
        ts = session["ts"][0]
        ready = ts <= merged or now > ts + grace or _complete(session, sessions[position + 1 :], expected(ts))
        if not ready:
            return
        yield session


def _complete(session: pl.DataFrame, later: Sequence[pl.DataFrame], universe: frozenset[str]) -> bool:
    present = frozenset(session["symbol"])
    if present >= universe:
        return True
    moved_on = frozenset(symbol for frame in later for symbol in frame["symbol"])
    return 2 * len(present) > len(universe) and present <= moved_on
