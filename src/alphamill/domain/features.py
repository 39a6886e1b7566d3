"""What a decision knows about one symbol, with the time it was known."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import polars as pl

from alphamill.domain.bars import UTC_TS

#: Every feature table starts with these two columns, then one Float64 column per feature.
FEATURE_KEY: Final = {"symbol": pl.String(), "ts": UTC_TS}


@dataclass(frozen=True, slots=True)
class FeatureSnapshot:
    """Feature values of one symbol, by name, as of `ts` (the close of the bar they end on)."""

    symbol: str
    ts: dt.datetime
    values: dict[str, float]
