"""The comparison itself: where it cuts, what it sees, and that planted leaks do not pass."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from alphamill.domain.costs import Slippage
from alphamill.domain.orders import Fill, Order, Side
from alphamill.errors import DataUnfit
from alphamill.evaluation.lookahead import (
    Probe,
    check_fills,
    check_probe,
    check_purge,
    cut_points,
    known_at,
    perturbed_after,
)
from alphamill.evaluation.lookahead.controls import COLUMN_CONTROLS, unpurged_folds
from alphamill.evaluation.lookahead.findings import compare
from alphamill.features import compute
from alphamill.proofs.lookahead_controls import control_market, run_controls
from alphamill.validation import check_bars

NUMBERS = ["open", "high", "low", "close", "volume", "price_factor", "split_factor"]


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return control_market(3)


def closes(bars: pl.DataFrame) -> list[dt.datetime]:
    return bars["ts"].unique().sort().to_list()


def test_cuts_reach_the_gap_the_late_bars_and_the_close_before_a_split() -> None:
    market = control_market(3, late=True)
    cuts = cut_points(market, 12, seed=0)
    everywhere = closes(market)
    holes = set(everywhere) - set(market.filter(pl.col("symbol") == "SYN000")["ts"])
    late = set(market.filter(pl.col("ingested_at") > pl.col("ts"))["ts"])
    split = market.filter(pl.col("price_factor") != 1.0)["ts"][0]
    assert len(set(cuts)) == 12
    assert cuts == sorted(cuts)
    assert set(cuts) & holes
    assert set(cuts) & late
    assert everywhere[everywhere.index(split) - 1] in cuts
    assert everywhere[-1] not in cuts
    assert cuts == cut_points(market, 12, seed=0) != cut_points(market, 12, seed=1)


def test_more_cuts_than_sessions_are_refused(bars: pl.DataFrame) -> None:
    with pytest.raises(DataUnfit, match="too few for 400 cuts"):
        cut_points(bars, 400, seed=0)


def test_a_bar_that_arrived_later_is_not_known_at_its_close() -> None:
    market = control_market(3, late=True)
    late = market.filter(pl.col("ingested_at") > pl.col("ts"))
    cut, arrival = late["ts"][0], late["ingested_at"][0]
    key = (pl.col("symbol") == "SYN002") & (pl.col("ts") == cut)
    assert known_at(market, cut).filter(key).is_empty()
    assert known_at(market, arrival).filter(key).height == 1


def test_perturbation_changes_every_unknown_bar_and_no_known_one(bars: pl.DataFrame) -> None:
    cut = closes(bars)[150]
    other = perturbed_after(bars, cut, seed=1)
    assert other.select("symbol", "ts").equals(bars.sort("symbol", "ts").select("symbol", "ts"))
    assert known_at(other, cut).equals(known_at(bars.sort("symbol", "ts"), cut))
    before, after = (frame.filter(pl.col("ts") > cut) for frame in (bars.sort("symbol", "ts"), other))
    assert not (before["close"] == after["close"]).any()
    assert after.filter(pl.col("price_factor") == 0.5).height == bars["symbol"].n_unique()


def test_perturbed_bars_keep_every_rule(bars: pl.DataFrame) -> None:
    other = perturbed_after(bars, closes(bars)[150], seed=1)
    accepted = check_bars(other, calendar="XNYS", now=dt.datetime.now(dt.UTC))
    assert accepted.height == bars.height


def test_one_digit_a_missing_row_and_a_null_are_differences() -> None:
    at = [dt.datetime(2020, 1, day, tzinfo=dt.UTC) for day in (1, 2, 3, 4)]
    full = pl.DataFrame({"symbol": ["A"] * 4, "ts": at, "x": [1.0, 2.0, 3.0, None]})
    known = pl.DataFrame({"symbol": ["A"] * 3, "ts": at[:3], "x": [1.0, np.nextafter(2.0, 3.0), None]})
    (finding,) = compare("feature", full, known)
    assert (finding.compared, finding.differing) == (3, 2)
    assert finding.worst is not None
    assert str(finding.worst) == "A 2020-01-03: 3 with later bars, nothing without"
    (shorter,) = compare("feature", full.head(2), known.head(1))
    assert (shorter.compared, shorter.differing) == (2, 1)
    (same,) = compare("feature", full, full)
    assert same.holds


def test_a_check_that_compared_nothing_does_not_hold(bars: pl.DataFrame) -> None:
    def nothing(frame: pl.DataFrame, cut: dt.datetime) -> pl.DataFrame:
        return frame.select("symbol", "ts", value=pl.lit(None, dtype=pl.Float64))

    (finding,) = check_probe(Probe("feature", nothing), bars, closes(bars)[100:102], 0)
    assert finding.differing == 0
    assert not finding.holds


@pytest.mark.parametrize("name", COLUMN_CONTROLS)
def test_planted_leak_is_caught_and_its_clean_twin_passes(name: str) -> None:
    market = control_market(3, late=name.startswith("late"))
    cuts = cut_points(market, 12, seed=0)
    leak, twin = (check_probe(Probe("control", made), market, cuts, 0) for made in COLUMN_CONTROLS[name])
    assert any(finding.differing for finding in leak)
    assert all(finding.holds for finding in twin)
    assert all(finding.cuts == 12 for finding in twin)


@pytest.mark.parametrize("name", ["gap filled from the future", "adjusted by a future factor"])
def test_leak_is_caught_by_perturbation_alone(bars: pl.DataFrame, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alphamill.evaluation.lookahead.probes.known_at", lambda frame, cut: frame)
    cuts = cut_points(bars, 12, seed=0)
    leak, twin = (check_probe(Probe("control", made), bars, cuts, 0) for made in COLUMN_CONTROLS[name])
    assert any(finding.differing for finding in leak)
    assert all(finding.holds for finding in twin)


def test_shipped_features_ignore_what_comes_after(bars: pl.DataFrame) -> None:
    found = check_probe(Probe("feature", lambda frame, cut: compute(frame)), bars, cut_points(bars, 6, 0), 0)
    assert len(found) >= 20
    assert all(finding.holds for finding in found), found


def test_a_label_that_ends_with_the_first_test_close_is_too_late() -> None:
    ts = np.arange(10, dtype=np.int64) * 86_400_000_000
    ends = ts + 2 * 86_400_000_000
    test = np.array([6, 7])
    clean = check_purge("folds", ts, ends, [(np.arange(4), test)])
    touching = check_purge("folds", ts, ends, [(np.arange(4), test), (np.arange(5), test)])
    assert clean.holds
    assert (clean.compared, clean.cuts) == (4, 1)
    assert (touching.differing, touching.compared, touching.cuts) == (1, 9, 2)
    assert "label ends 1970-01-07, test begins 1970-01-07" in str(touching.worst)


def test_unpurged_folds_are_caught() -> None:
    ts = np.repeat(np.arange(100, dtype=np.int64), 2)
    found = {
        clean: check_purge("folds", ts, ts + 6, unpurged_folds(ts, ts + 6, purge=clean)) for clean in (False, True)
    }
    assert found[True].holds
    assert found[False].differing == 3 * 6 * 2


def order_and_fill(bars: pl.DataFrame) -> tuple[Order, Fill]:
    day, after = bars.filter(pl.col("symbol") == "SYN001").sort("ts").rows(named=True)[100:102]
    close = Decimal(str(day["close"]))
    order = Order("ord_1", "p", day["ts"], "SYN001", Side.BUY, Decimal(1), close, "test")
    price = round(Decimal(str(after["open"])) * Decimal("1.0002"), 8)
    at = dt.datetime.combine(after["session"], dt.time(), dt.UTC)
    return order, Fill("f1", "ord_1", "SYN001", Side.BUY, Decimal(1), price, Decimal(0), at)


def test_fill_at_the_next_open_within_slippage_passes(bars: pl.DataFrame) -> None:
    order, fill = order_and_fill(bars)
    assert all(finding.holds for finding in check_fills([order], [fill], bars, Slippage(bps=2)))


def test_fixed_slippage_is_allowed_for(bars: pl.DataFrame) -> None:
    order, fill = order_and_fill(bars)
    dearer = [replace(fill, price=fill.price + fill.side.sign * Decimal("0.40"))]
    assert [f.holds for f in check_fills([order], dearer, bars, Slippage(2, Decimal("0.40")))] == [True, True]
    assert [f.holds for f in check_fills([order], dearer, bars, Slippage(2, Decimal("0.20")))] == [True, False]


def test_fill_within_the_decisions_session_is_caught(bars: pl.DataFrame) -> None:
    order, fill = order_and_fill(bars)
    after, _ = check_fills([order], [replace(fill, filled_at=order.decided_at)], bars, Slippage(bps=2))
    assert after.differing == 1


def test_the_decisions_own_price_under_a_later_date_is_caught(bars: pl.DataFrame) -> None:
    order, fill = order_and_fill(bars)
    after, priced = check_fills([order], [replace(fill, price=order.reference_price)], bars, Slippage(bps=2))
    assert after.holds
    assert priced.differing == 1


def test_all_controls_are_caught_and_all_twins_pass() -> None:
    outcomes = run_controls(seed=5)
    assert len(outcomes) >= 10
    assert [outcome.name for outcome in outcomes if not outcome.caught] == []
    assert [outcome.name for outcome in outcomes if not outcome.passes] == []
