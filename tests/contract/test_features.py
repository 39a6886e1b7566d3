"""One suite for all `OnlineFeatures`, one for all `OfflineFeatures`, and what only Feast can show."""

import datetime as dt
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from alphamill.adapters.feast.environment import connection_string
from alphamill.adapters.feast.offline_features import FeastOfflineFeatures
from alphamill.adapters.feast.online_features import FeastOnlineFeatures
from alphamill.adapters.feast.repo import FeastRepo
from alphamill.adapters.memory.feature_table import FeatureTable
from alphamill.domain.bars import UTC_TS
from alphamill.errors import InvalidConfig, InvalidFeatures, NotFound, StoreUnavailable
from alphamill.features import MODEL_FEATURES, Prices, feature, registered, registry
from alphamill.ports import OfflineFeatures, OnlineFeatures
from alphamill.settings import Settings
from alphamill.testing.features import InMemoryOfflineFeatures, InMemoryOnlineFeatures

NAMES = tuple(f.name for f in registered())
DAY1 = dt.datetime(2013, 2, 27, 21, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
REPO = Settings().feature_repo


class LateClock:
    """After every row of this module."""

    def now(self) -> dt.datetime:
        return DAY1 + 1000 * DAY


class Sides(NamedTuple):
    """Offline features and the online ones that they are loaded into."""

    offline: OfflineFeatures
    online: OnlineFeatures


class FeastSides:
    """Both sides on one Feast repo, as one process opens them."""

    def __init__(self, repo_path: Path, data_dir: Path, redis_url: str) -> None:
        self.repo = FeastRepo(repo_path, data_dir, redis_url)
        self.offline = FeastOfflineFeatures(self.repo)
        self.online = FeastOnlineFeatures(self.repo)


@pytest.fixture(scope="session")
def feast_store(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> FeastSides:
    store = FeastSides(REPO, tmp_path_factory.mktemp("feast"), redis_url)
    store.repo.apply()
    return store


def in_memory() -> Sides:
    online = InMemoryOnlineFeatures(NAMES)
    return Sides(InMemoryOfflineFeatures(online), online)


@pytest.fixture(params=["memory", "feast"])
def store(request: pytest.FixtureRequest) -> Sides:
    """Stores with an offline and an online side."""
    if request.param == "memory":
        return in_memory()
    feast = request.getfixturevalue("feast_store")
    return Sides(feast.offline, feast.online)


@pytest.fixture(params=["memory", "feast", "table"])
def online(request: pytest.FixtureRequest) -> OnlineFeatures:
    """Stores that answer online reads."""
    if request.param == "memory":
        return in_memory().online
    if request.param == "table":
        return FeatureTable(row("nobody", DAY1).clear(), LateClock())
    return request.getfixturevalue("feast_store").online  # type: ignore[no-any-return]


@pytest.fixture
def symbol() -> str:
    """A symbol of this test alone: the Redis server is shared."""
    return f"S{uuid.uuid4().hex}"


def row(symbol: str, ts: dt.datetime, base: float = 0.0, **values: float | None) -> pl.DataFrame:
    """One feature row: feature number i is base + i, if not given."""
    features = {name: values.get(name, base + i) for i, name in enumerate(NAMES)}
    return pl.DataFrame(
        {"symbol": [symbol], "ts": [ts], **{name: [value] for name, value in features.items()}},
        schema={"symbol": pl.String(), "ts": UTC_TS, **dict.fromkeys(NAMES, pl.Float64())},
    )


def test_a_written_row_is_read_by_name_in_any_order_with_its_time(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1, base=0.1))
    for names in (NAMES, NAMES[::-1], MODEL_FEATURES, ("rsi_14",)):
        snapshot = online.read([symbol], names)[symbol]
        assert (snapshot.symbol, snapshot.ts) == (symbol, DAY1)
        assert snapshot.values == {name: 0.1 + NAMES.index(name) for name in names}


def test_a_symbol_without_a_row_is_absent(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1))
    assert list(online.read([f"{symbol}X", symbol], NAMES)) == [symbol]
    assert online.read([], NAMES) == {}


def test_a_null_makes_a_symbol_absent_only_where_it_is_asked_for(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1, ret_63=None))
    assert online.read([symbol], ["ret_1", "ret_63"]) == {}
    assert online.read([symbol], ["ret_1"])[symbol].values == {"ret_1": 0.0}


def test_a_row_of_nulls_is_absent(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1, **dict.fromkeys(NAMES)))
    assert online.read([symbol], ["ret_1"]) == {}


def test_an_older_row_never_overwrites_a_newer_one(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1, base=1.0))
    online.write(row(symbol, DAY1 - DAY, base=2.0))
    snapshot = online.read([symbol], ["ret_1"])[symbol]
    assert (snapshot.ts, snapshot.values) == (DAY1, {"ret_1": 1.0})
    online.write(row(symbol, DAY1 + DAY, base=3.0))
    assert online.read([symbol], ["ret_1"])[symbol].values == {"ret_1": 3.0}


def test_of_rows_written_together_the_newest_is_read(online: OnlineFeatures, symbol: str) -> None:
    rows = [row(symbol, DAY1 + DAY, base=2.0), row(symbol, DAY1, base=1.0), row(f"{symbol}B", DAY1, base=5.0)]
    online.write(pl.concat(rows))
    snapshots = online.read([symbol, f"{symbol}B"], ["ret_1"])
    assert {s: (x.ts, x.values["ret_1"]) for s, x in snapshots.items()} == {
        symbol: (DAY1 + DAY, 2.0),
        f"{symbol}B": (DAY1, 5.0),
    }


def test_a_corrected_row_of_the_same_time_replaces_the_wrong_one(online: OnlineFeatures, symbol: str) -> None:
    online.write(row(symbol, DAY1, ret_63=None))
    online.write(row(symbol, DAY1, base=9.0))
    assert online.read([symbol], ["ret_1", "ret_63"])[symbol].values["ret_1"] == 9.0


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (lambda r: r.with_columns(rsi_14=float("nan")), "rsi_14"),
        (lambda r: r.with_columns(rsi_14=float("inf")), "rsi_14"),
        (lambda r: r.drop("rsi_14"), "rsi_14"),
        (lambda r: r.with_columns(pl.col("rsi_14").cast(pl.Float32)), "Float32"),
        (lambda r: r.with_columns(ts=pl.lit(None, dtype=UTC_TS)), "no ts"),
        (lambda r: pl.concat([r, r]), "two feature rows"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_written(
    online: OnlineFeatures, symbol: str, spoil: Callable[[pl.DataFrame], pl.DataFrame], names: str
) -> None:
    with pytest.raises(InvalidFeatures, match=names):
        online.write(spoil(row(symbol, DAY1)))
    assert online.read([symbol], ["ret_1"]) == {}


def test_an_undeclared_feature_cannot_be_read(online: OnlineFeatures, symbol: str) -> None:
    with pytest.raises(InvalidFeatures, match="nonsense"):
        online.read([symbol], ["ret_1", "nonsense"])
    with pytest.raises(InvalidFeatures, match="no features"):
        online.read([symbol], [])


def test_materialize_loads_the_newest_row_up_to_a_time_and_says_how_many(store: Sides, symbol: str) -> None:
    days = [row(symbol, DAY1 + i * DAY, base=float(i)) for i in range(4)]
    store.offline.write(pl.concat([*days, row(f"{symbol}B", DAY1 + DAY)]))
    assert store.online.read([symbol], ["ret_1"]) == {}
    assert store.offline.materialize(until=DAY1) == 1
    assert store.online.read([symbol, f"{symbol}B"], ["ret_1"])[symbol].ts == DAY1
    assert store.offline.materialize(until=DAY1 + 2 * DAY) == 2
    snapshots = store.online.read([symbol, f"{symbol}B"], ["ret_1"])
    assert snapshots[symbol].values == {"ret_1": 2.0}
    assert snapshots[f"{symbol}B"].ts == DAY1 + DAY


def test_materialize_again_writes_nothing_and_takes_nothing_back(store: Sides, symbol: str) -> None:
    store.offline.write(row(symbol, DAY1))
    assert store.offline.materialize(until=DAY1) == 1
    assert store.offline.materialize(until=DAY1) == 0
    store.online.write(row(symbol, DAY1 + DAY, base=7.0))
    assert store.offline.materialize(until=DAY1 + 9 * DAY) == 0
    assert store.online.read([symbol], ["ret_1"])[symbol].values == {"ret_1": 7.0}


def test_materialize_carries_a_correction_of_the_same_time(store: Sides, symbol: str) -> None:
    store.offline.write(row(symbol, DAY1))
    store.offline.materialize(until=DAY1)
    store.offline.write(row(symbol, DAY1, base=5.0))
    assert store.offline.materialize(until=DAY1) == 1
    assert store.online.read([symbol], ["ret_1"])[symbol].values == {"ret_1": 5.0}


def test_training_rows_are_joined_as_known_at_their_time(store: Sides, symbol: str) -> None:
    store.offline.write(pl.concat([row(symbol, DAY1, base=1.0), row(symbol, DAY1 + 2 * DAY, base=3.0, ret_5=None)]))
    second = dt.timedelta(seconds=1)
    asked = [DAY1 + 2 * DAY, DAY1 - second, DAY1 + 2 * DAY - second, DAY1, DAY1 + 900 * DAY]
    entities = pl.DataFrame(
        {"symbol": symbol, "ts": pl.Series(asked, dtype=UTC_TS), "label": [0.1, 0.2, 0.3, 0.4, 0.5]}
    )
    rows = store.offline.training_rows(entities, ["ret_5", "ret_1"])
    assert rows.columns == ["symbol", "ts", "label", "ret_5", "ret_1"]
    assert rows.select("symbol", "ts", "label").equals(entities)
    assert rows["ret_1"].to_list() == [3.0, None, 1.0, 1.0, 3.0]
    assert rows["ret_5"].to_list() == [None, None, 2.0, 2.0, None]


def test_training_rows_of_an_unknown_symbol_are_null(store: Sides, symbol: str) -> None:
    store.offline.write(row(symbol, DAY1))
    entities = pl.DataFrame({"symbol": ["nobody"], "ts": pl.Series([DAY1], dtype=UTC_TS)})
    assert store.offline.training_rows(entities, ["ret_1"])["ret_1"].to_list() == [None]
    with pytest.raises(InvalidFeatures, match="nonsense"):
        store.offline.training_rows(entities, ["nonsense"])


def test_the_fake_without_an_offline_table_and_switched_off() -> None:
    online = InMemoryOnlineFeatures(NAMES)
    with pytest.raises(NotFound, match="Write offline features first"):
        InMemoryOfflineFeatures(online).materialize(until=DAY1)
    online.available = False
    with pytest.raises(StoreUnavailable):
        online.read(["A"], ["ret_1"])


def test_feast_returns_the_computed_table_bit_for_bit_and_fast(feast_store: FeastSides) -> None:
    rng = np.random.default_rng(0)
    size = 12_000
    ts = pl.Series([DAY1 + i * DAY for i in range(size // 4)] * 4, dtype=UTC_TS)
    rows = pl.DataFrame(
        {
            "symbol": [f"P{i * 4 // size}" for i in range(size)],
            "ts": ts,
            **{name: rng.normal(size=size) for name in NAMES},
        }
    )
    feast_store.offline.write(rows)
    start = time.perf_counter()
    joined = feast_store.offline.training_rows(rows.select("symbol", "ts"), MODEL_FEATURES)
    assert time.perf_counter() - start < 5
    assert joined.equals(rows.select("symbol", "ts", *MODEL_FEATURES))


@pytest.fixture
def own_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features registered in the test are forgotten after it."""
    monkeypatch.setattr(registry, "_FEATURES", dict(registry._FEATURES))


@pytest.mark.usefixtures("own_features")
def test_an_own_feature_reaches_feast_without_a_change_to_the_repo(redis_url: str, tmp_path: Path, symbol: str) -> None:
    FeastRepo(REPO, tmp_path, redis_url).apply()
    reader = FeastSides(REPO, tmp_path, redis_url)
    reader.online.write(row(symbol, DAY1))

    @feature("gap_1", inputs=("open", "close"), warm_up=1)
    def gap_1(w: Prices) -> np.ndarray:  # pragma: no cover - only declared here
        return np.append(np.nan, w.open[1:] / w.close[:-1] - 1.0)

    store = FeastSides(REPO, tmp_path, redis_url)
    store.offline.write(row(symbol, DAY1).with_columns(gap_1=0.25))
    assert (
        store.offline.materialize(until=DAY1) == 1
    )  # the same time as before: the new column must arrive all the same
    for reading in (store, reader):
        assert reading.online.read([symbol], ["ret_1", "gap_1"])[symbol].values == {"ret_1": 0.0, "gap_1": 0.25}


def test_feast_says_quickly_that_redis_is_gone_and_works_again_when_it_is_back(
    own_redis: Any, tmp_path: Path, symbol: str
) -> None:
    store = FeastSides(REPO, tmp_path, own_redis.url)
    store.offline.write(row(symbol, DAY1))
    store.online.write(row(symbol, DAY1))
    own_redis.kill()
    for call in (
        lambda: store.online.read([symbol], ["ret_1"]),
        lambda: store.online.write(row(symbol, DAY1 + DAY)),
        lambda: store.offline.materialize(until=DAY1),
    ):
        start = time.perf_counter()
        with pytest.raises(StoreUnavailable, match="Redis at"):
            call()
        assert time.perf_counter() - start < 4
    own_redis.start()
    assert store.online.read([symbol], ["ret_1"]) == {}
    store.online.write(row(symbol, DAY1))
    assert store.online.read([symbol], ["ret_1"])[symbol].ts == DAY1


def test_feast_without_apply_or_offline_table_says_what_to_do(redis_url: str, tmp_path: Path) -> None:
    store = FeastSides(REPO, tmp_path / "new", redis_url)
    with pytest.raises(NotFound, match="apply"):
        store.online.read(["A"], ["ret_1"])
    store.repo.apply()
    with pytest.raises(NotFound, match="Write offline features first"):
        store.offline.materialize(until=DAY1)
    with pytest.raises(NotFound, match="Write offline features first"):
        store.offline.training_rows(row("A", DAY1).select("symbol", "ts"), ["ret_1"])


def test_feasts_own_interface_gives_the_same_join_with_a_ttl_and_refuses_what_it_cannot(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd
    from feast import FeatureStore as Feast

    repo = tmp_path / "repo"
    repo.mkdir()
    for file in ("feature_store.yaml", "definitions.py"):
        (repo / file).write_text((REPO / file).read_text().replace("ttl=timedelta(0)", "ttl=timedelta(days=1)"))
    FeastSides(repo, tmp_path / "data", redis_url).offline.write(row("A", DAY1, base=1.0))

    # As Feast's command line and a data scientist's notebook open it.
    monkeypatch.setenv("ALPHAMILL_FEATURES_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ALPHAMILL_REDIS", connection_string(redis_url, 2.0))
    feast = Feast(repo_path=str(repo))
    asked = pd.DataFrame({"symbol": "A", "event_timestamp": [DAY1 + DAY, DAY1 + 2 * DAY]})
    frame = feast.get_historical_features(asked, feast.get_feature_service("model_features"), True).to_df()
    assert frame["daily_features__ret_1"].fillna(-1.0).tolist() == [1.0, -1.0]
    with pytest.raises(ValueError, match="event_timestamp"):
        feast.get_historical_features("SELECT 1", ["daily_features:ret_1"])


def test_the_backtests_table_knows_nothing_after_its_clock() -> None:
    class Clock:
        at = DAY1

        def now(self) -> dt.datetime:
            return self.at

    clock = Clock()
    table = FeatureTable(pl.concat([row("A", DAY1 + i * DAY, base=float(i)) for i in range(3)]), clock)
    for at, expected in [(DAY1, 0.0), (DAY1 + 2 * DAY - dt.timedelta(microseconds=1), 1.0), (DAY1 + 9 * DAY, 2.0)]:
        clock.at = at
        assert table.read(["A"], ["ret_1"])["A"].values == {"ret_1": expected}
    clock.at = DAY1 - DAY
    assert table.read(["A"], ["ret_1"]) == {}


@pytest.fixture
def broken_repo(tmp_path: Path) -> Path:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "feature_store.yaml").write_text((REPO / "feature_store.yaml").read_text())
    (repo / "definitions.py").write_text("import nowhere_to_be_found\n")
    return repo


def test_feast_names_the_file_of_a_broken_repo(broken_repo: Path, redis_url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"definitions\.py.*nowhere_to_be_found"):
        FeastRepo(broken_repo, tmp_path, redis_url).apply()
    (broken_repo / "feature_store.yaml").write_text("project: ${NOT_A_VARIABLE}")
    with pytest.raises(InvalidConfig, match=r"feature_store\.yaml.*NOT_A_VARIABLE"):
        FeastSides(broken_repo, tmp_path, redis_url).online.read(["A"], ["ret_1"])


def test_redis_urls_in_feasts_words() -> None:
    assert connection_string("redis://h:1/3", 2.0).startswith("h:1,db=3,socket_connect_timeout=2.0")
    secured = connection_string("rediss://me:p%40ss@h", 2.0)
    assert secured.startswith("h:6379,db=0,username=me,password=p@ss,ssl=true,")
    for url in ("http://h:1", "redis://"):
        with pytest.raises(InvalidConfig, match="no Redis URL"):
            connection_string(url, 2.0)
    with pytest.raises(InvalidConfig, match="comma"):
        connection_string("redis://:a,b@h", 2.0)


def feasts_answer(store: FeastSides, symbols: list[str], names: tuple[str, ...]) -> dict[str, list[Any]]:
    """The same rows through Feast's own client."""
    rows = [{"symbol": symbol} for symbol in symbols]
    answer: dict[str, list[Any]] = store.repo.store.get_online_features(
        [f"daily_features:{n}" for n in names], rows
    ).to_dict()
    return answer


def test_feasts_own_client_reads_what_is_written_here(feast_store: FeastSides, symbol: str) -> None:
    both = [symbol, f"Ä/{symbol}"]
    feast_store.online.write(pl.concat([row(both[0], DAY1, base=0.1), row(both[1], DAY1, base=-1e300, ret_63=None)]))
    answer = feasts_answer(feast_store, both, ("ret_1", "ret_63"))
    assert answer["ret_1"] == [0.1, -1e300]
    assert answer["ret_63"] == [0.1 + NAMES.index("ret_63"), None]
    times = feast_store.repo.store.get_online_features(["daily_features:ret_1"], [{"symbol": symbol}]).proto.results
    assert dt.datetime.fromtimestamp(times[-1].event_timestamps[0].seconds, dt.UTC) == DAY1


def test_what_feasts_own_client_wrote_is_read_here(feast_store: FeastSides, symbol: str) -> None:
    rows = row(symbol, DAY1 + dt.timedelta(microseconds=1), base=0.1, ret_63=None)
    feast_store.repo.store.write_to_online_store("daily_features", rows.to_pandas())
    snapshot = feast_store.online.read([symbol], ["ret_1", "rsi_14"])[symbol]
    assert snapshot.ts == DAY1 + dt.timedelta(microseconds=1)
    assert snapshot.values == {"ret_1": 0.1, "rsi_14": 0.1 + NAMES.index("rsi_14")}
    assert feast_store.online.read([symbol], ["ret_63"]) == {}


def test_a_value_that_is_no_double_is_refused(feast_store: FeastSides, redis_url: str, symbol: str) -> None:
    from redis import Redis

    feast_store.online.write(row(symbol, DAY1))
    key, field = feast_store.repo.redis._key(symbol), feast_store.repo.redis._field("ret_1")
    with Redis.from_url(redis_url) as client:
        client.hset(key, mapping={field: b"not a Value"})
    with pytest.raises(StoreUnavailable, match="no doubles"):
        feast_store.online.read([symbol], ["ret_1"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("type: redis", "type: sqlite"),
        ("version: 3", "version: 2"),
        ("type: redis", "type: redis\n  key_ttl_seconds: 9"),
    ],
)
def test_an_online_layout_that_is_not_feasts_on_redis_is_refused(
    broken_repo: Path, redis_url: str, tmp_path: Path, before: str, after: str
) -> None:
    file = broken_repo / "feature_store.yaml"
    file.write_text(file.read_text().replace(before, after))
    (broken_repo / "definitions.py").write_text((REPO / "definitions.py").read_text())
    with pytest.raises(InvalidConfig, match="supported are"):
        FeastRepo(broken_repo, tmp_path, redis_url).apply()


def test_online_rows_are_read_and_written_without_importing_feast(
    feast_store: FeastSides, redis_url: str, symbol: str
) -> None:
    feast_store.offline.write(row(symbol, DAY1))
    feast_store.offline.materialize(until=DAY1)
    code = f"""
import datetime as dt, sys
from pathlib import Path
import polars as pl
from alphamill.adapters.feast.online_features import FeastOnlineFeatures
from alphamill.adapters.feast.repo import FeastRepo
online = FeastOnlineFeatures(FeastRepo(Path({str(REPO)!r}), Path({str(feast_store.repo.data_dir)!r}), {redis_url!r}))
rows = pl.read_parquet({str(feast_store.repo.offline_file)!r})
online.write(rows.with_columns(ts=pl.col("ts") + dt.timedelta(days=1), ret_1=pl.lit(7.5)))
assert online.read([{symbol!r}], ["ret_1"])[{symbol!r}].values == {{"ret_1": 7.5}}
print(sorted({{"feast", "torch"}} & sys.modules.keys()))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.returncode) == ("[]\n", 0), ended.stderr


def test_a_registry_that_somebody_else_changed_is_read_again(redis_url: str, tmp_path: Path, symbol: str) -> None:
    FeastRepo(REPO, tmp_path, redis_url).apply()
    (tmp_path / "declared.json").write_text((tmp_path / "declared.json").read_text().replace("ret_1", "ret_9"))
    assert FeastSides(REPO, tmp_path, redis_url).online.read([symbol], ["ret_9"]) == {}  # the note is believed
    os.utime(tmp_path / "registry.db")
    with pytest.raises(InvalidFeatures, match="ret_9"):
        FeastSides(REPO, tmp_path, redis_url).online.read([symbol], ["ret_9"])
