"""The bundled sample: real daily bars of five US stocks, 2000-03-01 to 2013-03-01."""

import datetime as dt
from importlib import resources

import polars as pl

from alphamill.adapters.feeds.columns import read_columns, to_raw_bars


class SampleFeed:
    """`MarketFeed` of AAPL, FB, GOOG, IBM and MSFT; see NOTICE for where the data is from."""

    source = "sample"

    def read(self, *, start: dt.date | None = None, until: dt.date | None = None) -> pl.DataFrame:
        """Bars of `RAW_BAR_SCHEMA` in [start, until], by symbol and session; no NaN."""
        packed = resources.files("alphamill.samples").joinpath("us_stocks.csv.gz").read_bytes()
        bars = to_raw_bars(read_columns(pl.read_csv(packed), "us_stocks.csv.gz"))
        return within(bars, start, until)


def within(bars: pl.DataFrame, start: dt.date | None, until: dt.date | None) -> pl.DataFrame:
    """Sessions in [start, until]. A row without a readable date stays: it must reach validation."""
    kept = bars
    if start is not None:
        kept = kept.filter((pl.col("session") >= start).fill_null(True))
    if until is not None:
        kept = kept.filter((pl.col("session") <= until).fill_null(True))
    return kept
