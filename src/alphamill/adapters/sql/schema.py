"""Bringing a database up to the schema of this version."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.tables import metadata
from alphamill.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

#: Newest revision in migrations/versions. Known here so that opening an up-to-date database needs no Alembic.
HEAD = "0005"

_MIGRATIONS = Path(__file__).parent / "migrations"


def ensure_schema(database: Database) -> None:
    """Create or upgrade the tables. In memory they are made at once; elsewhere Alembic runs when needed.

    Raises
    ------
    StoreUnavailable
        The database was written by a newer version of Alphamill, or cannot be reached.
    """
    if database.in_memory:
        with database.write() as connection:
            metadata.create_all(connection)
        return
    with database.read() as connection:
        found = revision(connection)
    if found != HEAD:
        upgrade(database)


def require_schema(database: Database) -> None:
    """For readers, who change nothing: the schema must be this version's."""
    with database.read() as connection:
        found = revision(connection)
    if found != HEAD:
        raise StoreUnavailable(
            f"{database.name} has schema {found or 'none'}, this version reads {HEAD}.",
            remedy="Run `alphamill serve gateway` of this version once: it brings it up to date and trades nothing.",
        )


def upgrade(database: Database) -> None:
    """Run all migrations in one transaction; a second process waits for it and finds nothing to do."""
    from alembic import command
    from alembic.util import CommandError

    with database.write() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreUnavailable(
                f"{database.name} cannot be upgraded to schema {HEAD}: {error}.",
                remedy="It was written by a newer version: upgrade Alphamill.",
            ) from error


def alembic_config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
