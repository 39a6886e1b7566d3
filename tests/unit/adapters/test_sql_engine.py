"""What goes wrong with a database has a name, the database's own, and a remedy."""

import datetime as dt
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from alphamill.adapters.sql import SqlLedger, SqlLedgerView, engine, rows
from alphamill.adapters.sql.engine import Database, to_json
from alphamill.adapters.sql.tables import nav_history
from alphamill.domain.decisions import TradingState
from alphamill.errors import InvalidConfig, InvalidInput, StoreUnavailable
from alphamill.testing.decisions import commit, sample_decision, sample_settlement, sample_spec, settle

SPEC = sample_spec()
NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger in a file, with one settled decision."""
    path = tmp_path / "ledger.db"
    ledger = SqlLedger(f"sqlite:///{path}")
    ledger.register(SPEC, NOON)
    commit(ledger, sample_decision(1))
    settle(ledger, sample_settlement(sample_decision(1)))
    ledger.close()
    return path


def raises_unavailable(match: str) -> Any:
    return pytest.raises(StoreUnavailable, match=f"(?s)ledger.db.*{match}")


def test_files_are_opened_for_durable_and_concurrent_use(path: Path) -> None:
    with Database(f"sqlite:///{path}").read() as connection:
        said = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in
                ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}  # fmt: skip
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_only_what_may_be_lost_does_not_wait_for_the_disk(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    for may_be_lost, level in ((False, 2), (True, 1), (False, 2)):
        with database.write(may_be_lost=may_be_lost) as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == level


def test_locked_database_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_MS", 20)
    ledger = SqlLedger(f"sqlite:///{path}")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with raises_unavailable("locked.*long transaction"):
        ledger.set_state("demo", TradingState.HALTED, "why", NOON)
    assert ledger.register(SPEC, NOON).state is TradingState.ACTIVE
    other.close()
    ledger.set_state("demo", TradingState.HALTED, "why", NOON)
    ledger.close()


def test_full_disk_loses_nothing_that_was_committed(path: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{path}")
    before = ledger.register(SPEC, NOON)
    with ledger._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with raises_unavailable("full.*Free space"):
        for number in range(2, 200):
            commit(ledger, sample_decision(number))
    committed = len(ledger.decisions("demo"))
    assert ledger.register(SPEC, NOON).last_decision_at == sample_decision(committed).decided_at
    assert ledger.register(SPEC, NOON).positions == before.positions
    ledger.close()


def test_deleted_or_replaced_file_is_noticed_before_the_next_write(path: Path) -> None:
    ledger = SqlLedger(f"sqlite:///{path}")
    moved = path.rename(path.with_suffix(".moved"))
    with raises_unavailable("gone"):
        commit(ledger, sample_decision(2))
    path.write_bytes(moved.read_bytes())
    with raises_unavailable("replaced"):
        ledger.register(SPEC, NOON)
    ledger.close()


def test_reader_makes_no_file(tmp_path: Path) -> None:
    with raises_unavailable("does not exist"):
        SqlLedgerView(f"sqlite:///{tmp_path}/ledger.db")
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / "ledger.db").close()
    with raises_unavailable("has schema none"):
        SqlLedgerView(f"sqlite:///{tmp_path}/ledger.db")


def test_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)
    with raises_unavailable("Restore the file from a backup"):
        SqlLedger(f"sqlite:///{path}")


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with raises_unavailable("Not a directory|File exists"):
        SqlLedger(f"sqlite:///{tmp_path}/file/ledger.db")
    (tmp_path / "ledger.db").mkdir()
    with raises_unavailable("unable to open"):
        SqlLedger(f"sqlite:///{tmp_path}/ledger.db")


@pytest.mark.parametrize("column", ["snapshots = '[{}]'", "nav_usd = 'abc'", "state = 'SLEEPING'", "prices = '{'"])
def test_damaged_row_stops_the_line(path: Path, column: str) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute(f"UPDATE decisions SET {column}")
    reader = SqlLedgerView(f"sqlite:///{path}")
    with raises_unavailable("cannot be read"):
        reader.decisions("demo")
    reader.close()


def test_order_without_its_decision_is_damage(path: Path) -> None:
    with sqlite3.connect(path) as raw:  # the driver's default: foreign keys unchecked
        raw.execute("DELETE FROM decisions")
    ledger = SqlLedger(f"sqlite:///{path}")
    with raises_unavailable("without its decision"):
        ledger.trail(sample_decision(1).orders[0].id)
    ledger.close()


def test_halt_from_another_process_holds_across_a_restart(path: Path) -> None:
    controller, operator = (SqlLedger(f"sqlite:///{path}") for _ in range(2))
    controller.register(SPEC, NOON)
    operator.set_state("demo", TradingState.HALTED, "operator", NOON)
    assert controller.register(SPEC, NOON).state is TradingState.HALTED
    for opened in (controller, operator):
        opened.close()
    restarted = SqlLedger(f"sqlite:///{path}")
    assert (restarted.register(SPEC, NOON).state, restarted.register(SPEC, NOON).state_reason) == (
        TradingState.HALTED,
        "operator",
    )
    restarted.close()


@pytest.mark.parametrize(("url", "match"), [("no url", "not a database URL"), ("nodb://x/y", "no driver for")])
def test_url_that_names_no_database_is_refused(url: str, match: str) -> None:
    with pytest.raises(InvalidConfig, match=match):
        SqlLedger(url)


def test_password_is_not_shown() -> None:
    with pytest.raises(InvalidConfig) as refused:
        SqlLedger("nodb://me:secret@host/books")
    assert "secret" not in str(refused.value)


def test_columns_refuse_what_would_not_come_back(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    point: dict[str, Any] = {"portfolio": "demo", "at": NOON, "nav_usd": Decimal(1), "cash_usd": Decimal(1)}
    for name, value in {"at": NOON.replace(tzinfo=None), "nav_usd": 1.5, "cash_usd": Decimal("NaN")}.items():
        with pytest.raises(InvalidInput), database.write() as connection:
            connection.execute(nav_history.insert(), {**point, name: value})


def test_json_keeps_numpy_floats_exactly_and_refuses_the_rest() -> None:
    assert to_json({"a": np.float64(0.1), "b": np.float32(0.1)}) == '{"a":0.1,"b":0.10000000149011612}'
    with pytest.raises(InvalidInput, match="object"):
        to_json({"a": object()})


def test_times_in_json_come_back_in_utc() -> None:
    assert rows._time("2012-01-03T16:00:00.123456-05:00") == dt.datetime(2012, 1, 3, 21, 0, 0, 123456, tzinfo=dt.UTC)
