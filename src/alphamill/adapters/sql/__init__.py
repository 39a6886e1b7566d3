"""Ledger and bar journal on a relational database."""

from alphamill.adapters.sql.journal import SqlBarJournal
from alphamill.adapters.sql.ledger import SqlLedger
from alphamill.adapters.sql.reader import LedgerReader, StateChange

__all__ = ["LedgerReader", "SqlBarJournal", "SqlLedger", "StateChange"]
