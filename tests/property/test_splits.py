"""Walk-forward splits: whatever the sample and the windows, training never sees what is tested."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alphamill.errors import InvalidConfig
from alphamill.training import Dataset, WalkForward

DAY = 86_400_000_000


def make_dataset(sessions: int, symbols: int, horizon: int, missing: set[tuple[int, int]]) -> Dataset:
    """Rows without the (session, symbol) in `missing`; a label ends `horizon + 1` of the SYMBOL's rows later."""
    keys = [(t, s) for t in range(sessions) for s in range(symbols) if (t, s) not in missing]
    ends = {}
    for s in range(symbols):
        own = [t for t, symbol in keys if symbol == s]
        ends |= {(t, s): own[i + horizon + 1] for i, t in enumerate(own) if i + horizon + 1 < len(own)}
    rows = [key for key in keys if key in ends]
    session = np.array([t for t, _ in rows], dtype=np.int64)
    values = np.zeros((len(rows), 1), dtype=np.float32)
    return Dataset(
        features=("f",),
        symbols=tuple(f"S{s}" for s in range(symbols)),
        horizon_bars=horizon,
        data_version="1",
        x=values,
        y=values[:, 0],
        ts=session * DAY,
        label_end=np.array([ends[key] for key in rows], dtype=np.int64) * DAY,
        session=session,
        symbol_code=np.array([s for _, s in rows], dtype=np.int64),
        dropped={},
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, WalkForward]:
    sessions, symbols, horizon = draw(st.integers(20, 90)), draw(st.integers(1, 3)), draw(st.integers(1, 6))
    holes = draw(st.sets(st.tuples(st.integers(0, sessions - 1), st.integers(0, symbols - 1)), max_size=25))
    splits = WalkForward(
        n_folds=draw(st.integers(1, 5)),
        purge_bars=horizon + 1 + draw(st.integers(0, 3)),
        test_sessions=draw(st.none() | st.integers(1, 15)),
        train_sessions=draw(st.none() | st.integers(1, 30)),
        embargo_bars=draw(st.integers(0, 4)),
    )
    return make_dataset(sessions, symbols, horizon, holes), splits


@given(cases())
def test_no_training_label_ends_within_or_after_the_test_window(case: tuple[Dataset, WalkForward]) -> None:
    dataset, splits = case
    for fold in _folds_or_skip(dataset, splits):
        assert dataset.label_end[fold.train_rows].max() < dataset.ts[fold.test_rows].min()


@given(cases())
def test_purge_and_embargo_lie_between_training_and_test(case: tuple[Dataset, WalkForward]) -> None:
    dataset, splits = case
    length = splits.test_sessions or int(np.ptp(dataset.session) + 1) // (splits.n_folds + 1)
    for fold in _folds_or_skip(dataset, splits):
        start = int(dataset.session.max()) + 1 - (splits.n_folds - fold.index) * length
        gap = start - int(dataset.session[fold.train_rows].max()) - 1
        assert gap >= splits.purge_bars + splits.embargo_bars - 1


@given(cases())
def test_test_windows_are_disjoint_in_order_and_end_with_the_sample(case: tuple[Dataset, WalkForward]) -> None:
    dataset, splits = case
    folds = _folds_or_skip(dataset, splits)
    assert [fold.index for fold in folds] == list(range(splits.n_folds))
    windows = [dataset.session[fold.test_rows] for fold in folds]
    for before, after in pairwise(windows):
        assert before.max() < after.min()
    assert windows[-1].max() == dataset.session.max()
    if splits.test_sessions is not None:
        assert all(np.ptp(window) < splits.test_sessions for window in windows)


@given(cases())
def test_training_window_has_its_length_or_begins_with_the_sample(case: tuple[Dataset, WalkForward]) -> None:
    dataset, splits = case
    for fold in _folds_or_skip(dataset, splits):
        trained = dataset.session[fold.train_rows]
        if splits.train_sessions is None:
            assert trained.min() == dataset.session.min()
        else:
            assert np.ptp(trained) < splits.train_sessions


@given(cases())
def test_every_row_of_a_test_window_is_tested(case: tuple[Dataset, WalkForward]) -> None:
    dataset, splits = case
    folds = _folds_or_skip(dataset, splits)
    tested = np.concatenate([fold.test_rows for fold in folds])
    since = dataset.session[folds[0].test_rows].min()
    assert np.array_equal(tested, np.flatnonzero(dataset.session >= since))


@given(horizon=st.integers(1, 20), short=st.integers(1, 20))
def test_purge_shorter_than_horizon_plus_one_is_refused(horizon: int, short: int) -> None:
    assume(short <= horizon)
    with pytest.raises(InvalidConfig, match=f"horizon \\+ 1 = {horizon + 1}"):
        WalkForward(n_folds=1, purge_bars=short).split(make_dataset(60, 1, horizon, set()))


def test_sample_too_short_for_the_folds_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="sessions are too few"):
        WalkForward(n_folds=3, purge_bars=6, test_sessions=10, train_sessions=30).split(make_dataset(60, 1, 5, set()))


def test_sample_without_rows_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="no row to split"):
        WalkForward(n_folds=1, purge_bars=9).split(make_dataset(5, 1, 5, set()))


@pytest.mark.parametrize("name", ["n_folds", "purge_bars", "test_sessions", "train_sessions", "embargo_bars"])
def test_negative_number_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        WalkForward(**{"n_folds": 1, "purge_bars": 6, name: -1})


def _folds_or_skip(dataset: Dataset, splits: WalkForward) -> list:
    try:
        return splits.split(dataset)
    except InvalidConfig:
        assume(False)  # too short for these windows: refused, see above
        raise
