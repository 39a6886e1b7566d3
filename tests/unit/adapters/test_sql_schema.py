"""The migrations lead to exactly the tables, on SQLite and in PostgreSQL's dialect."""

import datetime as dt
import io
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ClauseElement

from alphamill.adapters.sql import SqlBarJournal, SqlLedger, SqlLedgerView, statements
from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.schema import HEAD, alembic_config, upgrade
from alphamill.adapters.sql.tables import metadata
from alphamill.domain.orders import Position
from alphamill.errors import StoreUnavailable
from alphamill.testing.decisions import commit, sample_decision, sample_spec

NOON = dt.datetime(2012, 1, 2, 12, tzinfo=dt.UTC)

SPLIT = re.compile(r"[,\n]")
MASTER = text("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND name NOT LIKE 'sqlite_%'")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('schema')}/ledger.db")
    upgrade(database)
    return database


def test_migrations_produce_exactly_the_metadata(migrated: Database) -> None:
    with migrated.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrated_and_created_tables_have_the_same_definition(migrated: Database) -> None:
    created = create_engine("sqlite://")
    metadata.create_all(created)
    with migrated.read() as one, created.connect() as other:
        assert _definitions(one) == _definitions(other)


def _definitions(connection: Connection) -> dict[str, list[str]]:
    """Parts of each CREATE statement, in any order: Alembic writes constraints and later columns in another one."""
    rows = connection.execute(MASTER)
    return {row.name: sorted(filter(None, (part.strip(" \t()") for part in SPLIT.split(row.sql)))) for row in rows}


def test_a_position_written_before_its_best_close_was_kept_has_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    database = Database(url)
    with database.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO portfolios (name, spec, state, state_reason, cash_usd, nav_usd, peak_nav_usd, "
                "model_version) VALUES ('demo', '{}', 'ACTIVE', '', '1', '1', '1', '')"
            )
        )
        connection.execute(text("INSERT INTO positions VALUES ('demo', 'AAPL', '10', '125')"))
    ledger = SqlLedger(url)
    position = ledger.register(sample_spec(), NOON).positions["AAPL"]
    ledger.close()
    assert position == Position("AAPL", Decimal(10), Decimal(125), None)
    assert position.best_price == 125


def test_head_is_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_migrations_can_be_undone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    upgrade(database)
    with database.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with database.read() as connection:
        assert connection.execute(MASTER).all() == []


def test_migrations_render_for_postgresql_with_exact_money_and_zoned_times() -> None:
    config = alembic_config()
    config.output_buffer = script = io.StringIO()
    config.set_main_option("dialect", "postgresql")
    command.upgrade(config, "head", sql=True)
    ddl = script.getvalue()
    assert "cash_usd NUMERIC NOT NULL" in ddl
    assert "decided_at TIMESTAMP WITH TIME ZONE NOT NULL" in ddl
    assert "seq BIGSERIAL NOT NULL" in ddl


def test_tables_and_statements_compile_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
    known = [value for name, value in vars(statements).items() if name.isupper() and isinstance(value, ClauseElement)]
    assert len(known) > 15
    assert "FOR UPDATE" in "".join(str(statement.compile(dialect=dialect)) for statement in known)


def test_opening_again_keeps_the_record_and_another_schema_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    first = SqlLedger(url)
    first.register(sample_spec(), NOON)
    commit(first, sample_decision(1))
    first.close()
    again = SqlLedger(url)
    assert again.register(sample_spec(), NOON).open_orders == sample_decision(1).orders
    again.close()
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match=r"ledger.db.*9999.*upgrade Alphamill"):
        SqlLedger(url)
    with pytest.raises(StoreUnavailable, match="has schema 9999"):
        SqlLedgerView(url)


def test_ledger_and_journal_share_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/both.db"
    SqlBarJournal(url).close()
    ledger = SqlLedger(url)
    assert ledger.register(sample_spec(), NOON).name == "demo"
    ledger.close()


def test_backtest_ledger_needs_no_alembic() -> None:
    script = (
        "import datetime as dt, sys; from alphamill.adapters.sql import SqlLedger;"
        "from alphamill.testing.decisions import sample_spec;"
        "SqlLedger('sqlite://').register(sample_spec(), dt.datetime.now(dt.UTC)); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
