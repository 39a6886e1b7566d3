"""Looks on at the doors: which orders reached the broker, and whether the ledger had them by then."""

from collections.abc import Callable, Mapping
from typing import Any

from alphamill.domain.decisions import Decision
from alphamill.domain.orders import Order


class Witness:
    """Stands at the broker's door: which orders came in, and whether the ledger had them by then."""

    def __init__(self) -> None:
        self.sent: list[Order] = []
        self.too_early: list[str] = []
        self._committed: set[str] = set()

    def at_ledger(self, ledger: Any) -> Any:
        """The ledger, watched."""
        return _Committing(ledger, self._committed)

    def at_broker(self, broker: Any) -> Any:
        """The broker, watched."""
        return _Watched(broker, {"submit": self._submitted})

    def _submitted(self, order: Order) -> None:
        self.sent.append(order)
        if order.id not in self._committed:
            self.too_early.append(f"{order.id} was sent before it was committed")


class _Watched:
    def __init__(self, port: Any, first: Mapping[str, Callable[..., None]]) -> None:
        self._port, self._first = port, first

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name not in self._first:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._first[name](*args)
            return found(*args, **kwargs)

        return call


class _Committing:
    """Notes which orders the ledger has, the moment it has them."""

    def __init__(self, ledger: Any, committed: set[str]) -> None:
        self._ledger, self._committed = ledger, committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def commit(self, decision: Decision, *, token: int | None = None) -> None:
        self._ledger.commit(decision, token=token)
        self._committed.update(order.id for order in decision.orders)
