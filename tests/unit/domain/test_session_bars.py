import numpy as np
import polars as pl
import pytest

from alphamill.domain.bars import BAR_VALUES
from alphamill.domain.session_bars import SessionBars, sessions_of
from alphamill.errors import InvalidBar
from alphamill.features.history import BarHistory
from alphamill.proofs.synthetic_market import synthetic_market
from alphamill.testing.orders import session_bars


def test_a_frame_is_cut_into_its_sessions_oldest_first() -> None:
    frame = synthetic_market(3, 20, seed=1)
    frame = frame.filter(pl.Series(np.random.default_rng(2).random(frame.height) > 0.3)).sample(fraction=1.0, seed=3)
    cut = list(sessions_of(frame))
    expected = frame.sort("ts", "symbol").partition_by("ts", maintain_order=True)
    assert len(cut) == len(expected)
    for ours, theirs in zip(cut, expected, strict=True):
        one = SessionBars.of(theirs)
        for bars in (ours, one):
            assert (bars.ts, bars.session) == (theirs["ts"][0], theirs["session"][0])
            assert bars.symbols == tuple(theirs["symbol"])
            assert dict(bars.places) == {symbol: i for i, symbol in enumerate(theirs["symbol"])}
            np.testing.assert_array_equal(bars.values, theirs.select(BAR_VALUES).to_numpy().T)


def test_sessions_of_the_same_symbols_share_them() -> None:
    first, second = sessions_of(synthetic_market(3, 2, seed=1))
    assert first.symbols is second.symbols
    assert first.places is second.places


def test_other_symbols_are_left_out() -> None:
    bars = SessionBars.of(session_bars(1, {"A": 1.0, "B": 2.0, "C": 3.0})).only({"C", "A", "Z"})
    assert (bars.symbols, dict(bars.places)) == (("A", "C"), {"A": 0, "C": 1})
    assert bars.column("open").tolist() == [1.0, 3.0]


def test_bars_of_no_session_or_of_two_are_refused() -> None:
    for bars in (session_bars(1, {"A": 1.0}).clear(), pl.concat([session_bars(n, {"A": 1.0}) for n in (1, 2)])):
        with pytest.raises(ValueError, match="one session"):
            SessionBars.of(bars)
    assert list(sessions_of(session_bars(1, {"A": 1.0}).clear())) == []


def test_a_session_enters_the_history_whole_or_not_at_all() -> None:
    history = BarHistory()
    history.append(SessionBars.of(session_bars(1, {"A": 1.0})))
    history.append(SessionBars.of(session_bars(2, {"B": 2.0, "A": 3.0})))
    assert (history.window("A").open.tolist(), history.window("B").open.tolist()) == ([1.0, 3.0], [2.0])
    twice = SessionBars.of(pl.concat([session_bars(3, {"A": 1.0}), session_bars(3, {"A": 1.0})]))
    for bad in (session_bars(2, {"A": 1.0, "C": 1.0}), session_bars(3, {"A": 1.0, "B": float("nan")}), twice):
        with pytest.raises(InvalidBar):
            history.append(SessionBars.of(bad))
    assert history.symbols == ("A", "B")
    assert history.window("A").ts.size == 2
