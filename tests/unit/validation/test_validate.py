"""Each bar is accepted, corrected by name, or quarantined with a reason."""

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest

from alphamill.adapters.feeds.sample import SampleFeed
from alphamill.domain.bars import BAR_SCHEMA
from alphamill.errors import DataUnfit, InvalidBar, InvalidInput
from alphamill.ingestion import normalise
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.validation import FitThresholds, ValidationResult, check_bars, require_fit, validate

NOW = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)


def judged(bars: pl.DataFrame, now: dt.datetime = NOW) -> ValidationResult:
    return validate(bars, calendar="XNYS", now=now)


@pytest.fixture(scope="module")
def sample() -> ValidationResult:
    return judged(normalise(SampleFeed().read(), source="sample", calendar="XNYS", ingested_at=NOW))


@pytest.fixture
def market() -> pl.DataFrame:
    return synthetic_market(2, 30, seed=1)


def change(bars: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == row
    return bars.with_columns(
        pl.when(here).then(pl.lit(value, dtype=BAR_SCHEMA[name])).otherwise(pl.col(name)).alias(name)
        for name, value in values.items()
    )


def test_the_sample_is_accepted_whole_and_fit(sample: ValidationResult) -> None:
    assert (sample.rows, sample.quarantined.height, sample.gaps.height) == (12_154, 0, 0)
    assert sample.fit_to_trade
    assert sum(sample.corrections.values()) == 0
    require_fit(sample)


def test_the_sample_has_exactly_its_three_true_splits(sample: ValidationResult) -> None:
    assert sample.splits.rows() == [
        ("AAPL", dt.date(2000, 6, 21), 2.0),
        ("AAPL", dt.date(2005, 2, 28), 2.0),
        ("MSFT", dt.date(2003, 2, 18), 2.0),
    ]
    assert sample.accepted.filter(pl.col("split_factor") != 1.0)["split_factor"].to_list() == [0.5] * 3
    assert sample.dividends().height == 92


def test_a_crash_is_warned_of_and_not_taken_for_a_split(sample: ValidationResult) -> None:
    crash = sample.accepted.filter(pl.col("symbol") == "AAPL", pl.col("session") == dt.date(2000, 9, 29))
    assert crash["split_factor"].to_list() == [1.0]
    assert sample.warnings.drop("detail").rows() == [("AAPL", dt.date(2000, 9, 29), "PRICE_JUMP")]
    assert "-51.9 %" in sample.warnings["detail"][0]


@pytest.mark.parametrize(
    ("factor", "split"),
    [(0.5, 0.5), (2 / 3, 2 / 3), (1 / 7, 1 / 7), (0.1, 0.1), (10.0, 10.0), (0.8, 0.8), (0.898917, 1.0), (0.995, 1.0)],
)
def test_only_simple_ratios_are_splits(market: pl.DataFrame, factor: float, split: float) -> None:
    found = judged(change(market, 5, price_factor=factor)).accepted["split_factor"]
    assert (found[5], found.n_unique()) == (pytest.approx(split), 1 + (split != 1.0))


@pytest.mark.parametrize("factor", [0.4975, 1.03])
def test_a_factor_that_nothing_explains_is_warned_of(market: pl.DataFrame, factor: float) -> None:
    warned = judged(change(market, 5, price_factor=factor)).warnings
    assert "FACTOR_UNEXPLAINED" in warned["code"].to_list()


def test_repeated_rows_are_set_apart_and_do_not_make_data_unfit(market: pl.DataFrame) -> None:
    result = judged(pl.concat([market, market]))
    assert result.accepted.equals(market)
    assert result.corrections == {"keep_newest": 0, "drop_repeated": 60, "carry_factor": 0}
    assert result.fit_to_trade


def test_of_two_values_the_newest_is_kept(market: pl.DataFrame) -> None:
    corrected = market.head(1).with_columns(high=pl.col("high") + 1.0)
    result = judged(pl.concat([market, corrected]))
    assert result.accepted["high"][0] == corrected["high"][0]
    assert result.reason_counts() == {"SUPERSEDED_BAR": 1}
    assert result.corrections["keep_newest"] == 1


def test_later_ingestion_beats_the_order_of_rows(market: pl.DataFrame) -> None:
    corrected = market.head(1).with_columns(high=pl.col("high") + 1.0, ingested_at=pl.lit(NOW))
    result = judged(pl.concat([corrected, market]))
    assert result.accepted["high"][0] == corrected["high"][0]


def test_a_broken_correction_does_not_replace_a_good_bar(market: pl.DataFrame) -> None:
    result = judged(pl.concat([market, market.head(1).with_columns(low=pl.lit(-1.0))]))
    assert result.accepted.equals(market)
    assert result.reason_counts() == {"NOT_POSITIVE": 1}


def test_the_split_of_a_quarantined_bar_moves_to_the_next_one(market: pl.DataFrame) -> None:
    result = judged(change(market, 5, price_factor=0.5, volume=-1.0))
    assert result.splits.rows() == [("SYN000", market["session"][6], 2.0)]
    assert result.corrections["carry_factor"] == 1


def test_factors_around_a_wrong_price_cancel(market: pl.DataFrame) -> None:
    result = judged(change(change(market, 5, price_factor=0.8, low=1e9), 6, price_factor=1.25))
    assert result.accepted["price_factor"].to_list() == [1.0] * 59


def test_a_split_on_the_last_bar_is_quarantined_with_it(market: pl.DataFrame) -> None:
    result = judged(change(market, 29, price_factor=0.5, close=float("nan")))
    assert (result.splits.height, result.corrections["carry_factor"]) == (0, 0)


def test_a_factor_beyond_belief_goes_with_its_bar(market: pl.DataFrame) -> None:
    result = judged(change(market, 5, price_factor=1e300))
    assert result.quarantined["reason"].to_list() == ["NOT_BELIEVABLE"]
    assert (result.accepted["price_factor"].max(), result.corrections["carry_factor"]) == (1.0, 0)


def test_gaps_are_runs_of_sessions_between_a_symbols_own_bars(market: pl.DataFrame) -> None:
    days = market["session"][:30]
    holed = market.filter(
        ~((pl.col("symbol") == "SYN000") & pl.col("session").is_in([days[0], days[3], days[4], days[9]]))
    )
    result = judged(holed)
    assert result.gaps.rows() == [("SYN000", days[3], days[4], 2), ("SYN000", days[9], days[9], 1)]
    assert result.gap_pct == pytest.approx(100 * 3 / 59)
    assert result.reasons == ("5.08 % of the sessions are missing (limit 2 %).",)


def test_thresholds_can_be_set(market: pl.DataFrame) -> None:
    lenient = FitThresholds(max_quarantined_pct=5.0, max_gap_pct=5.0)
    broken = change(market, 5, close=float("nan"))
    assert validate(broken, calendar="XNYS", now=NOW, thresholds=lenient).fit_to_trade
    assert not judged(broken).fit_to_trade


def test_unfit_data_stops_the_line_with_reasons_and_a_remedy(market: pl.DataFrame) -> None:
    with pytest.raises(DataUnfit, match=r"3\.33 % of the rows .*NEGATIVE_VOLUME x 2.*Read the validation report"):
        require_fit(judged(change(change(market, 5, volume=-1.0), 6, volume=-1.0)))


@pytest.mark.parametrize("emptied", [lambda bars: bars.head(0), lambda bars: bars.with_columns(open=pl.lit(None))])
def test_no_accepted_bar_is_unfit(market: pl.DataFrame, emptied: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    result = judged(emptied(market).cast(BAR_SCHEMA))
    assert result.reasons == ("No bar was accepted.",)


def test_a_bar_is_not_known_before_its_close(market: pl.DataFrame) -> None:
    last_close = market["ts"].max()
    assert isinstance(last_close, dt.datetime)
    before = judged(market, now=last_close - dt.timedelta(seconds=1))
    assert before.reason_counts() == {"FUTURE_BAR": 2}
    assert judged(market, now=last_close).quarantined.is_empty()


def test_a_frame_of_another_schema_is_refused(market: pl.DataFrame) -> None:
    with pytest.raises(InvalidInput, match="lack the column 'ts'"):
        judged(market.drop("ts"))


@pytest.mark.parametrize(
    ("values", "field", "rule"),
    [
        ({"high": 0.01}, "high", "ohlc_consistent"),
        ({"low": 1e9, "high": 2e9}, "low", "ohlc_consistent"),
        ({"open": float("inf")}, "open", "finite_values"),
        ({"close": 0.0}, "close", "positive_prices"),
        ({"volume": -5.0}, "volume", "non_negative_volume"),
        ({"session": dt.date(2005, 1, 8), "ts": dt.datetime(2005, 1, 9, tzinfo=dt.UTC)}, "session", "is_session"),
        ({"symbol": ""}, "symbol", "symbol_named"),
    ],
)
def test_the_strict_door_names_field_and_rule(
    market: pl.DataFrame, values: dict[str, object], field: str, rule: str
) -> None:
    with pytest.raises(InvalidBar, match=rf"{field} is .*\(rule {rule}\).* Required: ") as caught:
        check_bars(change(market.head(1), 0, **values), calendar="XNYS", now=NOW)
    assert caught.value.field == field


def test_the_strict_door_refuses_a_bar_sent_twice(market: pl.DataFrame) -> None:
    with pytest.raises(InvalidBar, match="SYN000 2005-01-03 is there twice"):
        check_bars(pl.concat([market.head(2), market.head(1)]), calendar="XNYS", now=NOW)


def test_the_strict_door_classifies_splits_and_keeps_the_order(market: pl.DataFrame) -> None:
    sent = change(market.head(3), 1, price_factor=0.5).reverse()
    passed = check_bars(sent, calendar="XNYS", now=NOW)
    assert passed["split_factor"].to_list() == [1.0, 0.5, 1.0]
    assert passed.drop("split_factor").equals(sent.drop("split_factor"))
