"""Newest features into the online store and out of it, for 5, 50 and 500 names of 3,300 days, on a real Redis.

Write: all registered features of one new bar per name. "Compute" is `features.newest` over the whole history, "write"
is that of the online store, which reads what is there, refuses older rows and writes the rest. Its peer writes the same
bytes to the same keys in one redis-py pipeline and looks at nothing. Read: the model's features, with the staleness
guard. Its peers are the same hashes read in one pipeline and left undecoded, and Feast's own client, which checks no
age.
"""

import datetime as dt
import itertools
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command import main
from benchmarks.measure import Timing, interleave
from benchmarks.section import Aim, Row, Section, row

TITLE = "Online features"

PROSE = """
**Where the time goes.** *Compute*: nearly all of it is the history itself. EMA, RSI, MACD and ATR depend on where
they started, so every newest value is computed from the first of 3,300 bars on
(`docs/adr/0001-features-from-full-history.md`): about a third of a millisecond a name. *Write*: two round trips, one
to see what is there, one to write. At 5 names most of it is the checking of the frame (columns, keys, finite values);
at 500 names the packing of commands, which the raw pipeline pays too. *Read*: one round trip. Packing and parsing are
redis-py's; all values of the answer are decoded as one array, and then a snapshot is made for each name. Before this
benchmark a write of 5 names took 10 to 19 ms, and a read about five times the raw pipeline: Feast's client makes an
object for every value, and writes through pandas. `docs/adr/0015-online-rows-without-feasts-client.md` says what is
used instead.

**Where an aim is missed.** Compute and write together are bound by the recursions over the whole history, not by
Redis; the write alone is what the aim can be held against. There, 5 names are the hard case: two round trips and
fixed checks against one round trip without any.

**Next lever.** To keep the state of the recursions from bar to bar: some microseconds a name. It would be a second
implementation of each indicator, and equality to the last bit would then depend on the compiler. Live and backtest
are one code instead.
"""


def measure(quick: bool) -> Section:
    from alphamill.adapters.feast.repo import FeastRepo
    from alphamill.runtimes.embedded import Runtime
    from alphamill.settings import Settings

    sizes, sessions = ((5, 50), 300) if quick else ((5, 50, 500), 3_300)
    with TemporaryDirectory(prefix="alphamill-bench-") as folder, Runtime(Settings(home=Path(folder))) as runtime:
        settings = runtime.settings
        redis_url = settings.redis_url.get_secret_value()
        repo = FeastRepo(settings.feature_repo, Path(folder) / "features", redis_url)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # Feast says what it makes
            repo.apply()
        rows, checks = [], []
        for names in sizes:
            parts = _Parts(repo, redis_url, names, sessions)
            rows += _write_rows(names, parts, quick)
            rows += _read_rows(names, parts, quick)
            checks.append(parts.check())
    rows.sort(key=lambda line: line.what.partition(" of")[0])
    return Section(rows, (), checks)


class _Parts:
    """One universe with its history, its rows in Redis, and the raw commands that write and read the same."""

    def __init__(self, repo: Any, redis_url: str, names: int, sessions: int) -> None:
        from redis import Redis

        from alphamill.adapters.feast.online_features import FeastOnlineFeatures
        from alphamill.features import MODEL_FEATURES, newest
        from alphamill.features.history import BarHistory
        from benchmarks.market import bars

        self.repo, self.store, self.features = repo, FeastOnlineFeatures(repo), MODEL_FEATURES
        frame = bars(names, sessions, prefix=f"U{names}N")
        self.symbols = frame["symbol"].unique(maintain_order=True).to_list()
        self.history = BarHistory.from_bars(frame)
        self.rows = newest(self.history)
        self.client = Redis.from_url(redis_url)
        self._days = itertools.count(1)
        self.store.write(self.rows)
        self.keys = [repo.redis._key(symbol) for symbol in self.symbols]
        self.fields = [*map(repo.redis._field, self.features), b"_ts:daily_features"]
        self.hashes = [self.client.hgetall(key) for key in self.keys]

    def next_day(self) -> None:
        """Rows of a later bar, so that every write writes."""
        import polars as pl

        self.rows = self.rows.with_columns(pl.col("ts") + dt.timedelta(days=1))

    def compute(self) -> None:
        from alphamill.features import newest

        newest(self.history)

    def write(self) -> None:
        self.store.write(self.rows)

    def compute_and_write(self) -> None:
        self.compute()
        self.write()

    def write_raw(self) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            for key, mapping in zip(self.keys, self.hashes, strict=True):
                pipe.hset(key, mapping=mapping)
            pipe.execute()

    def read(self) -> None:
        from alphamill.features import require_fresh

        snapshots = self.store.read(self.symbols, self.features)
        fresh, _ = require_fresh(snapshots, self.symbols, self.at, dt.timedelta(days=4))
        assert len(fresh) == len(self.symbols)

    @property
    def at(self) -> dt.datetime:
        return self.rows["ts"][0]

    def read_raw(self) -> list[Any]:
        with self.client.pipeline(transaction=False) as pipe:
            for key in self.keys:
                pipe.hmget(key, self.fields)
            return pipe.execute()

    def read_sdk(self) -> dict[str, list[Any]]:
        answer = self.repo.store.get_online_features(
            features=[f"daily_features:{name}" for name in self.features],
            entity_rows=[{"symbol": symbol} for symbol in self.symbols],
        )
        return answer.to_dict()

    def check(self) -> str:
        """Feast's client reads from Redis the numbers that were computed."""
        from benchmarks.measure import same

        self.next_day()
        self.write()
        ours = self.store.read(self.symbols, self.features)
        theirs = self.read_sdk()
        values = [[ours[symbol].values[name] for symbol in self.symbols] for name in self.features]
        what = f"{len(self.symbols)} names as Feast's client reads them"
        return same(what, values, [theirs[name] for name in self.features], 0.0)


def _write_rows(names: int, parts: _Parts, quick: bool) -> list[Row]:
    t = _measure(
        quick,
        names,
        {"compute": parts.compute, "write": parts.write, "both": parts.compute_and_write, "raw": parts.write_raw},
        {"write": parts.next_day, "both": parts.next_day},
    )
    raw = partial(row, against="raw Redis pipeline", peer=t["raw"])
    return [
        row(f"newest bar: compute, rows of {names} names", t["compute"]),
        raw(f"newest bar: write, rows of {names} names", t["write"], aim=Aim(5.0)),
        raw(f"newest bar: write, rows of {names} names", t["write"], statistic="p99"),
        raw(f"newest bar: compute and write, rows of {names} names", t["both"], aim=Aim(5.0)),
    ]


def _read_rows(names: int, parts: _Parts, quick: bool) -> list[Row]:
    parts.next_day()
    parts.write()  # the raw pipeline has put old rows there
    contestants = {"ours": parts.read, "raw": parts.read_raw, "sdk": parts.read_sdk}
    t = _measure(quick, names, contestants)
    aim = Aim(2.0) if names >= 500 or quick else None
    what = f"read, fresh rows of {names} names"
    return [
        row(what, t["ours"], against="raw Redis pipeline", peer=t["raw"], aim=aim),
        row(what, t["ours"], against="raw Redis pipeline", peer=t["raw"], statistic="p99"),
        row(what, t["ours"], against="Feast's client", peer=t["sdk"]),
    ]


def _measure(
    quick: bool, names: int, contestants: dict[str, Callable[[], object]], before: dict[str, Any] | None = None
) -> dict[str, Timing]:
    rounds = 3 if quick else 300
    return interleave(contestants, rounds=rounds, warm_up=3, at_most_secs=1.5, before=before)


if __name__ == "__main__":
    main("online")
