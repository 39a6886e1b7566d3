"""`Lease` as a row of the ledger's database, so that granting it and fencing writes are one truth."""

import datetime as dt
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.schema import ensure_schema
from alphamill.adapters.sql.tables import leases
from alphamill.errors import InvalidConfig
from alphamill.ports import Clock, Grant

TRADER: Final = "trader"


class SqlLease:
    """The lease of one database.

    Parameters
    ----------
    url
        That of the ledger: its writes are fenced by the tokens granted here.
    ttl_secs
        How long a grant lasts without being renewed.
    clock
        The same time for everybody: the wall's.
    """

    def __init__(self, url: str, *, ttl_secs: float, clock: Clock, name: str = TRADER) -> None:
        if ttl_secs <= 0:
            raise InvalidConfig(f"a lease of {ttl_secs} s.", field="lease_ttl_secs", remedy="Give more than 0 seconds.")
        self._database = Database(url)
        ensure_schema(self._database)
        self._name, self._ttl, self._clock = name, dt.timedelta(seconds=ttl_secs), clock

    def close(self) -> None:
        self._database.close()

    def acquire(self, holder: str) -> Grant | None:
        """A new grant, or the holder's own renewed under the same token; None while another one holds it."""
        with self._database.write() as connection:
            row, now = self._row(connection), self._clock.now()
            until = now + self._ttl
            if row is None:
                values = {"name": self._name, "holder": holder, "token": 1, "expires_at": until}
                connection.execute(insert(leases).values(values))
                return Grant(self._name, holder, 1, until)
            if row.holder != holder and row.expires_at > now:
                return None
            token = row.token if row.holder == holder else row.token + 1
            changed = {"holder": holder, "token": token, "expires_at": until}
            connection.execute(update(leases).where(leases.c.name == self._name).values(changed))
            return Grant(self._name, holder, token, until)

    def release(self, grant: Grant) -> None:
        """Give it back: it expires now. The token stays the highest, so that later grants fence this holder."""
        own = (leases.c.name == grant.name) & (leases.c.holder == grant.holder) & (leases.c.token == grant.token)
        with self._database.write() as connection:
            connection.execute(update(leases).where(own).values(expires_at=self._clock.now()))

    def current(self) -> Grant | None:
        """Who holds it now; None when nobody does."""
        with self._database.read() as connection:
            row = self._row(connection)
            if row is None or row.expires_at <= self._clock.now():
                return None
            return Grant(self._name, row.holder, row.token, row.expires_at)

    def _row(self, connection: Connection) -> Row[Any] | None:
        return connection.execute(select(leases).where(leases.c.name == self._name).with_for_update()).one_or_none()
