"""The staleness guard: a decision uses fresh features or leaves the symbol alone."""

import datetime as dt
from collections.abc import Mapping, Sequence

from alphamill.domain.decisions import Refusal
from alphamill.domain.features import FeatureSnapshot


def require_fresh(
    snapshots: Mapping[str, FeatureSnapshot], symbols: Sequence[str], at: dt.datetime, max_age: dt.timedelta
) -> tuple[list[FeatureSnapshot], list[Refusal]]:
    """Split symbols into those whose features may be traded on at `at` and those that may not.

    Parameters
    ----------
    snapshots
        As `OnlineFeatures.read` gives them.
    max_age
        A snapshot this old is still fresh.

    Returns
    -------
    fresh
        Snapshots in the order of `symbols`.
    refusals
        ``MISSING_FEATURES`` without a row; ``STALE_FEATURES`` for a row that is too old, or newer
        than `at`: that one was not known when the decision was due.
    """
    fresh: list[FeatureSnapshot] = []
    refusals: list[Refusal] = []
    for symbol in symbols:
        snapshot = snapshots.get(symbol)
        if snapshot is None:
            refusals.append(Refusal(symbol, "MISSING_FEATURES", "no complete feature row online"))
            continue
        age = at - snapshot.ts
        if dt.timedelta(0) <= age <= max_age:
            fresh.append(snapshot)
            continue
        why = f"from after the decision at {at}" if age < dt.timedelta(0) else f"{age} old, allowed is {max_age}"
        refusals.append(Refusal(symbol, "STALE_FEATURES", f"features of {snapshot.ts} are {why}"))
    return fresh, refusals
