"""A lease in memory."""

import datetime as dt

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.ports import Clock, Grant


class InMemoryLease:
    """`Lease` on one `InMemoryLedger`, whose writes are fenced by the tokens granted here."""

    def __init__(self, ledger: InMemoryLedger, *, ttl_secs: float, clock: Clock, name: str = "trader") -> None:
        self._ledger, self._name, self._clock = ledger, name, clock
        self._ttl = dt.timedelta(seconds=ttl_secs)
        self._grant: Grant | None = None

    def acquire(self, holder: str) -> Grant | None:
        now, last = self._clock.now(), self._grant
        if last is not None and last.holder != holder and last.expires_at > now:
            return None
        token = 1 if last is None else last.token + (last.holder != holder)
        self._grant = Grant(self._name, holder, token, now + self._ttl)
        self._ledger.granted = token
        return self._grant

    def release(self, grant: Grant) -> None:
        last = self._grant
        if last is not None and (last.holder, last.token) == (grant.holder, grant.token):
            self._grant = Grant(last.name, last.holder, last.token, self._clock.now())

    def current(self) -> Grant | None:
        last = self._grant
        return None if last is None or last.expires_at <= self._clock.now() else last
