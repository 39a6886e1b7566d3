"""`StatusBoard` as a table of the ledger's database."""

from sqlalchemy import delete, insert, select

from alphamill.adapters.sql.engine import Database
from alphamill.adapters.sql.schema import ensure_schema
from alphamill.adapters.sql.tables import trading_status
from alphamill.domain.status import TradingStatus


class SqlStatusBoard:
    """The trader's newest word on each portfolio."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        ensure_schema(self._database)

    def close(self) -> None:
        self._database.close()

    def post(self, status: TradingStatus) -> None:
        row = {
            "portfolio": status.portfolio,
            "at": status.at,
            "holder": status.holder,
            "reasons": list(status.reasons),
            "bars_version": status.bars_version,
        }
        # Said again every second: a word that a power cut loses is no loss.
        with self._database.write(may_be_lost=True) as connection:
            connection.execute(delete(trading_status).where(trading_status.c.portfolio == status.portfolio))
            connection.execute(insert(trading_status).values(row))

    def read(self, portfolio: str) -> TradingStatus | None:
        """None where no trader has ever spoken of it."""
        with self._database.read() as connection:
            found = select(trading_status).where(trading_status.c.portfolio == portfolio)
            row = connection.execute(found).one_or_none()
            if row is None:
                return None
            return TradingStatus(row.portfolio, row.at, row.holder, tuple(row.reasons), row.bars_version)
