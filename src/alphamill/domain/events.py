"""Messages on the event bus. They wake a reader; the journal and the ledger hold the truth."""

import datetime as dt

from pydantic import BaseModel, ConfigDict

BARS_APPENDED = "alphamill.bars.appended"


class BarsAppended(BaseModel):
    """A closed session was merged into the bars table."""

    model_config = ConfigDict(frozen=True)

    session: dt.date
    close: dt.datetime
    symbols: tuple[str, ...]
    version: int


#: A target, a state or a spec is in the ledger.
PORTFOLIO_CHANGED = "alphamill.portfolio.changed"


class PortfolioChanged(BaseModel):
    """Something about a portfolio was written that its trader should look at."""

    model_config = ConfigDict(frozen=True)

    portfolio: str
