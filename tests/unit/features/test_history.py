import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from alphamill.errors import InvalidBar, MissingFeatures, UnknownSymbol
from alphamill.features.history import BarHistory


def test_windows_hold_all_bars_as_read_only_views(bars_of: Any) -> None:
    bars = pl.concat([bars_of([3.0, 4.0], "MSFT"), bars_of([1.0, 2.0, 2.5])])
    history = BarHistory.from_bars(bars)
    assert history.symbols == ("AAPL", "MSFT")
    window = history.window("AAPL")
    assert window.close.tolist() == [1.0, 2.0, 2.5]
    assert window.ts.dtype == np.int64
    assert history.last_ts("AAPL") == dt.datetime(2010, 1, 6, 21, tzinfo=dt.UTC)
    with pytest.raises(ValueError, match="read-only"):
        window.close[0] = 9.0


def test_appending_keeps_old_views_and_equals_reading_at_once(bars_of: Any) -> None:
    closes = (100 + np.arange(300.0)).tolist()
    whole, history = bars_of(closes), BarHistory.from_bars(bars_of(closes[:1]))
    early = history.window("AAPL")
    for i in range(1, 300):
        history.append(whole[i : i + 1])
    assert early.close.tolist() == [100.0]
    for name in ("ts", "open", "close", "volume", "split_factor"):
        expected = getattr(BarHistory.from_bars(whole).window("AAPL"), name)
        np.testing.assert_array_equal(getattr(history.window("AAPL"), name), expected)


def test_sessions_that_lack_symbols_append_to_what_reading_at_once_gives(bars_of: Any) -> None:
    rng = np.random.default_rng(5)
    whole = pl.concat([bars_of((10.0 + rng.random(90)).tolist(), s, first=i) for i, s in enumerate(("C", "A", "B"))])
    whole = whole.filter(pl.Series(rng.random(whole.height) > 0.2))
    history, once = BarHistory(), BarHistory.from_bars(whole)
    for session in whole.sort("ts", "symbol").partition_by("ts", maintain_order=True):
        history.append(session)
    assert history.symbols == once.symbols
    newest = once.newest(("B", "NONE", "A"))
    assert (newest.symbols, dict(newest.places)) == (("B", "A"), {"B": 0, "A": 1})
    recent = once.recent_ts(("B", "A"), 7)
    for i, symbol in enumerate(newest.symbols):
        ours, theirs = history.window(symbol), once.window(symbol)
        rows = whole.filter(pl.col("symbol") == symbol)
        for name in ("open", "close", "volume", "split_factor"):
            np.testing.assert_array_equal(getattr(ours, name), rows[name].to_numpy())
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_array_equal(ours.ts, theirs.ts)
        assert (newest.sizes[i], newest.ts[i], newest.close[i]) == (rows.height, theirs.ts[-1], theirs.close[-1])
        assert recent[i].tolist() == theirs.ts[-7:].tolist()


@pytest.mark.parametrize("first", [0, 1])
def test_a_bar_that_is_not_newer_is_refused_and_nothing_is_added(bars_of: Any, first: int) -> None:
    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    late = pl.concat([bars_of([5.0], "ABC"), bars_of([1.5], first=first)])
    with pytest.raises(InvalidBar, match=f"AAPL at 2010-01-0{4 + first}.*not newer"):
        history.append(late)
    assert history.symbols == ("AAPL",)
    assert history.window("AAPL").close.size == 2


def test_bars_out_of_order_or_twice_are_refused_by_name(bars_of: Any) -> None:
    bars = bars_of([1.0, 2.0, 3.0])
    with pytest.raises(InvalidBar, match=r"AAPL at 2010-01-05.*not newer"):
        BarHistory.from_bars(bars[[0, 2, 1]])
    with pytest.raises(InvalidBar, match=r"AAPL at 2010-01-05.*not newer"):
        BarHistory.from_bars(bars[[0, 1, 1, 2]])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("close", float("nan")),
        ("open", float("inf")),
        ("high", 0.0),
        ("low", -1.0),
        ("low", None),
        ("volume", -1.0),
        ("volume", float("inf")),
        ("price_factor", 0.0),
        ("split_factor", float("nan")),
    ],
)
def test_a_value_out_of_range_is_refused_by_column_symbol_and_time(bars_of: Any, column: str, value: Any) -> None:
    bars = bars_of([1.0, 2.0, 3.0], **{column: [1.0, value, 1.0]})
    with pytest.raises(InvalidBar, match=f"{column} of AAPL at 2010-01-05") as refused:
        BarHistory.from_bars(bars)
    assert refused.value.field == column


def test_missing_columns_and_keys_are_refused(bars_of: Any) -> None:
    bars = bars_of([1.0])
    with pytest.raises(InvalidBar, match="split_factor"):
        BarHistory.from_bars(bars.drop("split_factor"))
    with pytest.raises(InvalidBar, match="no symbol"):
        BarHistory.from_bars(bars.with_columns(symbol=pl.lit(None, dtype=pl.String)))


def test_no_bars_change_nothing_and_an_unknown_symbol_is_named(bars_of: Any) -> None:
    history = BarHistory.from_bars(bars_of([]))
    assert history.symbols == ()
    for ask in (history.window, history.last_ts):
        with pytest.raises(UnknownSymbol, match="IBM"):
            ask("IBM")


def test_adjusted_returns_see_through_a_split(bars_of: Any) -> None:
    split = bars_of([100.0, 110.0, 55.0, 60.5], price_factor=[1.0, 1.0, 0.5, 1.0])
    flat = bars_of([10.0, 10.0, 20.0, 20.0], "IBM")
    history = BarHistory.from_bars(pl.concat([split, flat]))
    returns = history.adjusted_returns(["IBM", "AAPL"], 3)
    np.testing.assert_allclose(returns, [[0.0, 0.1], [1.0, 0.0], [0.0, 0.1]], atol=1e-15)


def test_adjusted_returns_of_all_span_a_session_that_one_symbol_lacks(bars_of: Any) -> None:
    split = bars_of([100.0, 110.0, 55.0, 60.5], price_factor=[1.0, 1.0, 0.5, 1.0])
    holed = pl.concat([bars_of([10.0, 20.0], "IBM"), bars_of([40.0], "IBM", first=3)])
    returns = BarHistory.from_bars(pl.concat([split, holed])).adjusted_returns(["AAPL", "IBM"], 2)
    np.testing.assert_allclose(returns, [[0.1, 1.0], [0.1, 1.0]], atol=1e-15)


def test_adjusted_returns_name_the_symbol_with_too_few_or_other_sessions(bars_of: Any) -> None:
    history = BarHistory.from_bars(
        pl.concat([bars_of([1.0] * 5), bars_of([1.0] * 3, "FB", first=2), bars_of([1.0] * 5, "IBM", first=1)])
    )
    assert history.adjusted_returns(["AAPL", "FB"], 2).shape == (2, 2)
    with pytest.raises(MissingFeatures, match="FB has 3 bars, 3 returns need 4"):
        history.adjusted_returns(["AAPL", "FB"], 3)
    with pytest.raises(MissingFeatures, match="NOPE has 0 bars"):
        history.adjusted_returns(["NOPE"], 1)
    with pytest.raises(MissingFeatures, match="FB shares 2 sessions"):
        BarHistory.from_bars(pl.concat([bars_of([1.0] * 3), bars_of([1.0] * 3, "FB", first=1)])).adjusted_returns(
            ["AAPL", "FB"], 2
        )
    with pytest.raises(ValueError, match="at least 1"):
        history.adjusted_returns(["AAPL"], 0)


def test_amended_history_equals_one_that_never_knew_the_old_bars(bars_of: Any) -> None:
    rng = np.random.default_rng(11)
    whole = pl.concat([bars_of((10.0 + rng.random(80)).tolist(), s) for s in ("A", "B", "C")])
    first_seen = pl.Series(rng.random(whole.height) > 0.1)
    wrong = whole.filter(first_seen).with_columns(close=pl.col("close") * 1.01, high=pl.col("high") * 1.02)
    history = BarHistory.from_bars(wrong)
    history.amend(whole.sample(fraction=1.0, shuffle=True, seed=3))
    once = BarHistory.from_bars(whole)
    for symbol in ("A", "B", "C"):
        for name in ("ts", "open", "high", "close", "volume", "price_factor"):
            np.testing.assert_array_equal(getattr(history.window(symbol), name), getattr(once.window(symbol), name))
    np.testing.assert_array_equal(history.adjusted_returns(("A", "C"), 60), once.adjusted_returns(("A", "C"), 60))


def test_a_symbol_that_only_a_late_bar_names_joins_and_others_stay(bars_of: Any) -> None:
    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    history.amend(bars_of([5.0], "MSFT"))
    assert history.symbols == ("AAPL", "MSFT")
    assert history.window("MSFT").close.tolist() == [5.0]
    assert history.window("AAPL").close.tolist() == [1.0, 2.0]
    history.append(bars_of([9.0], first=2))
    assert history.window("AAPL").close.tolist() == [1.0, 2.0, 9.0]


def test_an_amendment_with_a_bad_value_changes_nothing(bars_of: Any) -> None:
    history = BarHistory.from_bars(bars_of([1.0, 2.0]))
    with pytest.raises(InvalidBar, match="open of AAPL"):
        history.amend(bars_of([3.0, float("nan")]))
    assert history.window("AAPL").close.tolist() == [1.0, 2.0]
