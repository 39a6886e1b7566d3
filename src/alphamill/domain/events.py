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
