"""The fake of the `Ledger` port is the adapter that backtests run on."""

from alphamill.adapters.memory_ledger import InMemoryLedger

__all__ = ["InMemoryLedger"]
