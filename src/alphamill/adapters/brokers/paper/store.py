"""The paper broker's event log in any SQLAlchemy database; SQLite by default."""

from functools import cache
from typing import TYPE_CHECKING, Any

from alphamill.adapters.brokers.paper.events import PaperEvent
from alphamill.errors import Conflict, StoreUnavailable

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class SqlPaperStore:
    """One append-only table of numbered events.

    The number is the table's key and each process counts on its own: a second process on the same books
    collides at its first write and is refused, so no order can fill twice.

    Parameters
    ----------
    url
        SQLAlchemy URL, e.g. ``sqlite:///paper_broker.db``. The table is created when missing.
    """

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa

        self._adapter = _event_adapter()
        self._engine = sa.create_engine(url)
        if self._engine.dialect.name == "sqlite":
            sa.event.listen(self._engine, "connect", _durable_sqlite)
        metadata = sa.MetaData()
        self._events = sa.Table(
            "paper_broker_events",
            metadata,
            sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("body", sa.Text, nullable=False),
        )
        self._next = 1
        try:
            metadata.create_all(self._engine)
        except sa.exc.SQLAlchemyError as error:
            raise StoreUnavailable(f"paper broker's books at {self._engine.url!r}: {error}.", field="url") from error

    def append(self, events: list[PaperEvent]) -> None:
        import sqlalchemy as sa

        rows = [
            {"seq": self._next + i, "body": self._adapter.dump_json(event).decode()} for i, event in enumerate(events)
        ]
        try:
            with self._engine.begin() as connection:
                connection.execute(self._events.insert(), rows)
        except sa.exc.IntegrityError as error:
            raise Conflict(
                f"another process writes the paper broker's books at {self._engine.url!r}.",
                field="url",
                remedy="Stop it; one process hosts a paper broker.",
            ) from error
        except sa.exc.SQLAlchemyError as error:
            raise StoreUnavailable(f"paper broker's books: {error}.", field="url") from error
        self._next += len(rows)

    def read(self) -> list[PaperEvent]:
        import sqlalchemy as sa

        query = sa.select(self._events.c.seq, self._events.c.body).order_by(self._events.c.seq)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query).all()
        except sa.exc.SQLAlchemyError as error:
            raise StoreUnavailable(f"paper broker's books: {error}.", field="url") from error
        self._next = rows[-1].seq + 1 if rows else 1
        return [self._adapter.validate_json(row.body) for row in rows]

    def close(self) -> None:
        """Give connections back; the events stay."""
        self._engine.dispose()


@cache
def _event_adapter() -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(PaperEvent)


def _durable_sqlite(connection: Any, _record: Any) -> None:
    """A full sync per commit: what was answered also survives a power cut."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
