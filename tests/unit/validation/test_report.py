"""The page says the verdict, the counts and what was found, and nothing in it can run."""

import datetime as dt

import polars as pl

from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.validation import validate
from alphamill.validation.report import render

NOW = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)


def test_a_good_report_says_fit() -> None:
    result = validate(synthetic_market(1, 30, seed=1), calendar="XNYS", now=NOW)
    page = render(result, calendar="XNYS", data_version="7")
    assert "Fit to trade on." in page
    assert "Calendar XNYS. Data version 7." in page
    assert page.count("<p>None.</p>") == 4
    assert "http" not in page


def test_a_bad_report_says_why_and_escapes_what_was_sent() -> None:
    market = synthetic_market(1, 80, seed=1)
    evil = market.with_columns(symbol=pl.lit("<script>alert(1)</script>"))
    page = render(validate(pl.concat([market.head(2), evil]), calendar="XNYS", now=NOW))
    assert "Not fit to trade on." in page
    assert "97.56 % of the rows are quarantined" in page
    assert "BAD_SYMBOL" in page
    assert "The first 50 of 80." in page
    assert "<script>" not in page
