"""What a live bar must pass before it is journalled: its place in the schema, then every rule of validation."""

from collections.abc import Callable

import polars as pl

from alphamill.ingestion import normalise
from alphamill.ports import Clock
from alphamill.validation import check_bars

#: (raw bars of one calendar, its code) -> normalised ones; raises `InvalidBar` naming field and rule.
BarChecks = Callable[[pl.DataFrame, str], pl.DataFrame]


def door_checks(wall: Clock) -> BarChecks:
    """Checks against the wall clock, whatever clock trading runs on: nobody may post a bar of the future."""

    def check(raw: pl.DataFrame, calendar: str) -> pl.DataFrame:
        now = wall.now()
        bars = normalise(raw, source="api", calendar=calendar, ingested_at=now)
        return check_bars(bars, calendar=calendar, now=now)

    return check
