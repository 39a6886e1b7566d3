"""What becomes a training row, what is left out and counted, and what stops the line."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from alphamill.errors import DataUnfit, InvalidConfig
from alphamill.training import Dataset, build_dataset

MakeFrame = Callable[..., pl.DataFrame]
FEATURES = ("f0", "f1", "f2")


def build(frame: pl.DataFrame, features: tuple[str, ...] = FEATURES) -> Dataset:
    return build_dataset(frame, features, horizon_bars=5, data_version="7")


def with_value(frame: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    return frame.with_columns(
        pl.when(at).then(pl.lit(value, dtype=frame[column].dtype)).otherwise(column).alias(column)
    )


def test_rows_are_sorted_by_time_then_symbol_whatever_the_frame(frame_factory: MakeFrame) -> None:
    frame = frame_factory(sessions=20)
    dataset = build(frame.sample(fraction=1.0, shuffle=True, seed=3))
    expected = frame.sort("ts", "symbol")
    assert dataset.keys().equals(expected.select("symbol", "ts"))
    assert np.array_equal(dataset.x, expected.select(FEATURES).to_numpy().astype(np.float32))
    assert dataset.session.tolist() == [i // 2 for i in range(40)]
    assert dataset.dropped == {"rows": 0}


def test_columns_follow_the_order_of_the_names(frame_factory: MakeFrame) -> None:
    frame = frame_factory(sessions=5)
    assert np.array_equal(build(frame, ("f2", "f0")).x, build(frame).x[:, [2, 0]])


def test_rows_with_nulls_are_left_out_counted_and_keep_their_session_number(frame_factory: MakeFrame) -> None:
    frame = frame_factory(sessions=10, symbols=("AAA",))
    frame = with_value(with_value(with_value(frame, "f1", 0, None), "label", 9, None), "f0", 0, None)
    dataset = build(frame)
    assert dataset.dropped == {"label": 1, "f0": 1, "f1": 1, "rows": 2}
    assert dataset.session.tolist() == list(range(1, 9))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e39])
@pytest.mark.parametrize("column", ["f1", "label"])
def test_value_that_is_not_a_finite_float32_stops_the_line(frame_factory: MakeFrame, column: str, value: float) -> None:
    with pytest.raises(DataUnfit, match=f"{column} of AAA"):
        build(with_value(frame_factory(sessions=10), column, 4, value))


def test_the_same_row_twice_stops_the_line(frame_factory: MakeFrame) -> None:
    frame = frame_factory(sessions=10)
    with pytest.raises(DataUnfit, match="stands 2 times"):
        build(pl.concat([frame, frame.head(1)]))


def test_label_that_ends_before_its_row_stops_the_line(frame_factory: MakeFrame) -> None:
    frame = frame_factory(sessions=10)
    with pytest.raises(DataUnfit, match="not after the row"):
        build(with_value(frame, "label_end_ts", 3, frame["ts"][3]))


def test_frame_without_a_complete_row_is_refused(frame_factory: MakeFrame) -> None:
    with pytest.raises(DataUnfit, match="no row has all features"):
        build(frame_factory(sessions=4).with_columns(f0=pl.lit(None, dtype=pl.Float64)))


def test_missing_column_is_named(frame_factory: MakeFrame) -> None:
    with pytest.raises(InvalidConfig, match="lacks f9"):
        build(frame_factory(sessions=4), ("f0", "f9"))


@pytest.mark.parametrize("features", [(), ("f0", "f0")])
def test_features_are_named_once_each(frame_factory: MakeFrame, features: tuple[str, ...]) -> None:
    with pytest.raises(InvalidConfig, match="once each"):
        build(frame_factory(sessions=4), features)


def test_horizon_must_be_positive(frame_factory: MakeFrame) -> None:
    with pytest.raises(InvalidConfig, match="horizon_bars"):
        build_dataset(frame_factory(sessions=4), FEATURES, horizon_bars=0)


def test_arrays_cannot_be_written(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="read-only"):
        dataset.x[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        dataset.take(np.arange(3)).y[0] = 1.0


def test_known_before_keeps_only_labels_that_had_ended(dataset: Dataset) -> None:
    moment = dt.datetime(2010, 6, 1, 21, tzinfo=dt.UTC)
    known = dataset.known_before(moment)
    last = known.keys()["ts"].max()
    assert last == moment - dt.timedelta(days=5 + 1 + 1)
    assert known.session.tolist() == dataset.session[: len(known)].tolist()


def test_time_without_zone_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InvalidConfig, match="no time zone"):
        dataset.known_before(dt.datetime(2010, 6, 1))  # noqa: DTZ001
