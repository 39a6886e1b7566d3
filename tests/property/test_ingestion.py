"""Nothing vanishes, nothing is stored twice, and every broken bar is called by its name."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.domain.bars import BAR_KEY, BAR_SCHEMA
from alphamill.ingestion import normalise
from alphamill.testing.bar_store import InMemoryBarStore
from alphamill.testing.strategies import NOW, bar_frames, broken_bars, raw_bar_frames
from alphamill.validation import check_bars, validate

unhurried = settings(deadline=None, max_examples=60)


def ingest(raw: pl.DataFrame, store: InMemoryBarStore) -> int:
    bars = normalise(raw, source="hypothesis", calendar="XNYS", ingested_at=NOW)
    return store.append(validate(bars, calendar="XNYS", now=NOW).accepted)


@unhurried
@given(raw_bar_frames())
def test_ingesting_the_same_bars_again_changes_nothing(raw: pl.DataFrame) -> None:
    store = InMemoryBarStore()
    version = ingest(raw, store)
    before = store.read()
    assert ingest(raw, store) == version
    assert ingest(raw.reverse(), store) == version
    assert store.read().equals(before)
    assert before.height == raw.height


@unhurried
@given(bar_frames())
def test_valid_bars_are_all_accepted(bars: pl.DataFrame) -> None:
    result = validate(bars, calendar="XNYS", now=NOW)
    assert result.quarantined.is_empty()
    assert result.accepted.drop("split_factor").equals(bars.drop("split_factor").sort(BAR_KEY))
    if not bars.is_empty():
        assert check_bars(bars, calendar="XNYS", now=NOW).sort(BAR_KEY).equals(result.accepted)


@unhurried
@given(bar_frames(), st.lists(broken_bars(), max_size=5), st.randoms(use_true_random=False))
def test_accepted_and_quarantined_make_up_the_input(bars, broken, random) -> None:  # type: ignore[no-untyped-def]
    rows = pl.concat([bars, bars.head(3), *(frame for frame, _ in broken)])
    mixed = rows[random.sample(range(rows.height), rows.height)] if rows.height else rows
    result = validate(mixed, calendar="XNYS", now=NOW)
    assert result.rows == mixed.height
    assert result.accepted.select(BAR_KEY).is_unique().all()
    assert result.quarantined["reason"].null_count() == 0
    assert sum(result.reason_counts().values()) == result.quarantined.height
    # Quarantined rows are as they came: together with the untouched columns of the accepted, the input.
    untouched = [name for name in BAR_SCHEMA.names() if name not in ("price_factor", "split_factor")]
    out = pl.concat([result.accepted.select(untouched), result.quarantined.select(untouched)])
    assert sorted(map(repr, out.rows())) == sorted(map(repr, mixed.select(untouched).rows()))


@settings(deadline=None, max_examples=200)
@given(broken_bars())
def test_a_broken_bar_is_quarantined_with_its_reason(case: tuple[pl.DataFrame, str]) -> None:
    bar, code = case
    result = validate(bar, calendar="XNYS", now=NOW)
    assert result.accepted.is_empty()
    assert result.reason_counts() == {code: 1}
    assert not result.fit_to_trade
