import datetime as dt

from alphamill.domain.features import FeatureSnapshot
from alphamill.features import require_fresh

NOW = dt.datetime(2013, 3, 1, 21, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def snapshot(symbol: str, age: dt.timedelta) -> FeatureSnapshot:
    return FeatureSnapshot(symbol, NOW - age, {"ret_1": 0.1})


def test_fresh_stale_future_and_missing_symbols_are_told_apart() -> None:
    second = dt.timedelta(seconds=1)
    ages = {"NEW": dt.timedelta(0), "EDGE": HOUR, "OLD": HOUR + second, "AHEAD": -second}
    known = {symbol: snapshot(symbol, age) for symbol, age in ages.items()}
    fresh, refusals = require_fresh(known, ["OLD", "EDGE", "GONE", "AHEAD", "NEW"], NOW, HOUR)
    assert [s.symbol for s in fresh] == ["EDGE", "NEW"]
    assert [(r.symbol, r.code) for r in refusals] == [
        ("OLD", "STALE_FEATURES"),
        ("GONE", "MISSING_FEATURES"),
        ("AHEAD", "STALE_FEATURES"),
    ]
    assert "1:00:01 old, allowed is 1:00:00" in refusals[0].detail
    assert "after the decision" in refusals[2].detail


def test_a_snapshot_nobody_asked_for_is_not_traded() -> None:
    assert require_fresh({"AAPL": snapshot("AAPL", HOUR)}, [], NOW, HOUR) == ([], [])
