"""One database: how it is opened, how a transaction runs, and what its failures are called."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import StaticPool

from alphamill.errors import AlphamillError, InvalidConfig, InvalidInput, StoreUnavailable
from alphamill.secret_url import masked, without_secret

BUSY_TIMEOUT_MS = 5_000

#: What a driver says -> what a person should do. First match wins.
REMEDIES = (
    ("locked", "Another process holds a long transaction: let it end, then retry."),
    ("disk is full", "Free space on its volume, then retry."),
    ("unable to open", "Check that its folder exists and may be written."),
    ("readonly", "Give this user the right to write the file and its folder."),
    ("not a database", "Restore the file from a backup; keep this one."),
    ("malformed", "Stop all writers, keep the file, and restore a backup or run `sqlite3 FILE .recover`."),
    ("no such table", "Its schema is missing: run `alphamill serve gateway` once, which makes it."),
)


def to_json(value: Any) -> str:
    """JSON text. Floats keep their shortest exact form; a Decimal becomes its digits, as a string."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError as error:
        raise InvalidInput(f"cannot be recorded as JSON: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "__float__"):  # a numpy scalar: the value it stands for, exactly
        return float(value)
    raise TypeError(f"{value!r} of type {type(value).__name__}")


class Database:
    """An engine with one way to write and one way to read.

    Parameters
    ----------
    url
        SQLAlchemy URL. ``sqlite://`` is one database in memory, private to this object.
    create
        Make a missing SQLite file and its folder; otherwise a missing file is an error.

    Raises
    ------
    InvalidConfig
        The URL is not one, or its driver is not installed.
    StoreUnavailable
        The file is missing (`create` false) or cannot be opened.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.url = _parse(url)
        self.name = masked(self.url.render_as_string(hide_password=True))
        sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = sqlite and self.url.database in (None, "", ":memory:")
        self._path = Path(str(self.url.database)) if sqlite and not self.in_memory else None
        self._inode: tuple[int, int] | None = None
        # All threads share the one connection that holds a database in memory: they must take turns.
        self._turn: AbstractContextManager[Any] = threading.RLock() if self.in_memory else nullcontext()
        if self._path is not None:
            self._prepare_file(self._path, create)
        self.engine = self._open()
        self._readers = self.engine.execution_options(reads_only=True)
        self._notes = self.engine.execution_options(may_be_lost=True)

    @contextmanager
    def write(self, *, may_be_lost: bool = False) -> Iterator[Connection]:
        """One transaction: all of it is committed, or none. `IntegrityError` passes; the rest is translated.

        One that may be lost in a power cut does not wait for the disk. The next one that does takes it along.
        """
        self._require_same_file()
        engine = self._notes if may_be_lost else self.engine
        with self._turn, self._translated(), engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view, whoever writes meanwhile. A row that cannot be decoded is a damaged store."""
        self._require_same_file()
        with self._turn, self._translated(), self._readers.begin() as connection:
            try:
                yield connection
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise StoreUnavailable(
                    f"{self.name} holds a row that cannot be read: {error!r}.",
                    remedy="Keep the database and restore a backup.",
                ) from error

    def close(self) -> None:
        self.engine.dispose()

    def _prepare_file(self, path: Path, create: bool) -> None:
        if create:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._unavailable(str(error)) from error
        elif not path.exists():
            raise StoreUnavailable(f"{self.name} does not exist.", remedy="Start the trader or check the URL.")

    def _open(self) -> Engine:
        options: dict[str, Any] = {"json_serializer": to_json, "json_deserializer": orjson.loads}
        if self.in_memory:
            options |= {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        try:
            engine = create_engine(self.url, **options)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise InvalidConfig(
                f"no driver for {self.name}: {error}.", field="ledger_dsn", remedy="Install the database's driver."
            ) from error
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _require_same_file(self) -> None:
        """SQLite would go on writing into a deleted file without a word."""
        if self._path is None:
            return
        try:
            found = os.stat(self._path)  # noqa: PTH116 - per transaction: three times faster than Path.stat
        except FileNotFoundError:
            if self._inode is None:
                return
            raise self._unavailable("the file is gone") from None
        inode = (found.st_dev, found.st_ino)
        if self._inode is not None and inode != self._inode:
            raise self._unavailable("the file was replaced while it was open")
        self._inode = inode

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except StatementError as error:
            if isinstance(error.orig, AlphamillError):
                raise error.orig from error
            if isinstance(error, DBAPIError):
                raise self._unavailable(str(error.orig)) from error
            raise
        except (PoolTimeout, sqlite3.Error) as error:
            raise self._unavailable(str(error)) from error

    def _unavailable(self, why: str) -> StoreUnavailable:
        remedy = next(
            (r for sign, r in REMEDIES if sign in why.lower()), "Check that it runs and that the URL is right."
        )
        return StoreUnavailable(f"{self.name}: {why}.", remedy=remedy)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise InvalidConfig(
            f"{masked(url)!r} is not a database URL.",
            field="ledger_dsn",
            remedy="Write sqlite:///path or postgresql+psycopg://...",
        ) from without_secret(error, url)


def _configure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # The driver's own guess where transactions begin leaves a SELECT outside of them: we begin ourselves.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    # WAL: readers (CLI, API, `halt`) never wait for the writer, nor it for them.
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    if options.get("reads_only", False):
        driver.execute("BEGIN")
        return
    # FULL: a commit is on the disk when it returns. With NORMAL a power cut may undo the last commits, and an
    # order could be at the broker that the ledger has never heard of.
    driver.execute(f"PRAGMA synchronous = {'NORMAL' if options.get('may_be_lost', False) else 'FULL'}")
    # IMMEDIATE takes the write lock first: two writers queue instead of failing half way.
    driver.execute("BEGIN IMMEDIATE")
