"""Ledger, bar journal, lease and status board on a relational database."""

from alphamill.adapters.sql.journal import SqlBarJournal
from alphamill.adapters.sql.lease import SqlLease
from alphamill.adapters.sql.ledger import SqlLedger
from alphamill.adapters.sql.status import SqlStatusBoard
from alphamill.adapters.sql.view import SqlLedgerView

__all__ = ["SqlBarJournal", "SqlLease", "SqlLedger", "SqlLedgerView", "SqlStatusBoard"]
