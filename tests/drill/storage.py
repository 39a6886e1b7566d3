"""Where a drill keeps what outlives its process: SQLite files, or memory where speed matters more."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.adapters.sql import SqlLedger
from alphamill.domain.calendars import session_open
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.ports import Ledger
from alphamill.testing.faults import FaultPlan, faulty_books
from drill.audit import LedgerPages


class FileStorage:
    """Ledger and broker's books as the product keeps them: every start opens the files anew.

    Parameters
    ----------
    folder
        Empty. A folder in memory spares the disk: what is tried here is the end of a process, not a power cut.
    template
        A folder of `make_template`, copied instead of running the migrations once more.
    reopen
        False leaves the connections open when the process starts again: faster, and nothing but connections lives in
        them.
    """

    def __init__(self, spec: PortfolioSpec, folder: Path, *, template: Path | None = None, reopen: bool = True) -> None:
        self.spec, self._folder, self._reopen = spec, folder, reopen
        if template is not None:
            shutil.copytree(template, folder, dirs_exist_ok=True)
        self._ledger: SqlLedger | None = None
        self._books: list[SqlPaperStore] = []

    def ledger(self) -> Ledger:
        if self._ledger is None or self._reopen:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = SqlLedger(f"sqlite:///{self._folder / 'ledger.db'}")
        return self._ledger

    def pages(self) -> LedgerPages:
        if self._ledger is None:
            self.ledger()
        assert self._ledger is not None
        return self._ledger

    def broker(self, plan: FaultPlan) -> Any:
        if not self._books or self._reopen:
            for books in self._books:
                books.close()
            self._books = [SqlPaperStore(f"sqlite:///{self._folder / 'broker.db'}")]
        return paper_broker(self.spec, faulty_books(self._books[0], plan))

    def clear(self) -> None:
        """Empty books for the next run, over the connections that are open."""
        from alphamill.adapters.sql.tables import metadata

        if self._ledger is not None:
            with self._ledger._database.write() as connection:
                for table in reversed(metadata.sorted_tables):
                    connection.execute(table.delete())
        for books in self._books:
            with books._engine.begin() as connection:
                connection.execute(books._events.delete())
            books.read()

    def close(self) -> None:
        """Give the files back; they stay."""
        for books in self._books:
            books.close()
        if self._ledger is not None:
            self._ledger.close()


def make_template(spec: PortfolioSpec, folder: Path) -> Path:
    """Empty files with the newest schema."""
    storage = FileStorage(spec, folder)
    storage.ledger()
    storage.close()
    return folder


class MemoryStorage:
    """Ledger and the broker's log as objects that live longer than the process that uses them."""

    def __init__(self, spec: PortfolioSpec) -> None:
        self._spec, self._ledger, self._books = spec, InMemoryLedger(), InMemoryPaperStore()

    def ledger(self) -> Ledger:
        return self._ledger

    def pages(self) -> LedgerPages:
        return self._ledger

    def broker(self, plan: FaultPlan) -> Any:
        return paper_broker(self._spec, faulty_books(self._books, plan))

    def close(self) -> None:
        """Nothing to give back."""


class InMemoryPaperStore:
    """The paper broker's log in a list."""

    def __init__(self) -> None:
        self._events: list[Any] = []

    def append(self, events: list[Any]) -> None:
        self._events += events

    def read(self) -> list[Any]:
        return list(self._events)


def paper_broker(spec: PortfolioSpec, store: Any) -> PaperBroker:
    """The broker of the product over a store of events."""
    opens = partial(session_open, spec.universe.calendar)
    return PaperBroker(spec.broker, initial_cash={spec.name: spec.initial_cash_usd}, store=store, session_open=opens)
