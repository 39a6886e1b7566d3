"""Books drawn at random, long and short, with gaps over night: entries, additions, cuts and flips."""

from typing import Final

import numpy as np
import pytest

from alphamill.testing.script import Bar, Script, play
from benchmarks.peers.agreement import differing_fills
from benchmarks.peers.ml4t_engine import peer_engine, peer_run

BARS: Final = 45
NAMES: Final = ("AAA", "BBB", "CCC", "DDD")

#: Half a step of our money, for each fill: its commission is rounded, its price (cents and 2 bps) is not.
ROUNDING_USD: Final = 5e-7


def random_book(seed: int) -> Script:
    """Prices in cents with gaps between close and open; new weights about every third bar."""
    rng = np.random.default_rng(seed)
    opens = np.round(rng.uniform(20, 200, 4) * np.exp(rng.normal(0, 0.03, (BARS, 4)).cumsum(axis=0)), 2)
    closes = np.round(opens * np.exp(rng.normal(0, 0.02, opens.shape)), 2)
    bars = {
        name: [Bar(*pair) for pair in zip(opens[:, i].tolist(), closes[:, i].tolist(), strict=True)]
        for i, name in enumerate(NAMES)
    }
    numbers = np.flatnonzero(rng.random(BARS - 1) < 0.3)
    targets = {
        int(n): dict(zip(NAMES, np.round(rng.uniform(-0.4, 0.4, 4) * (rng.random(4) < 0.7), 6).tolist(), strict=True))
        for n in numbers
        if n
    }
    return Script(bars, targets, broker={"commission_bps": 5, "slippage_bps": 2})


@pytest.mark.parametrize("seed", range(6))
def test_random_book_of_longs_and_shorts_ends_at_the_same_cent(seed: int) -> None:
    script = random_book(seed)
    played = play(script)
    peer = peer_run(peer_engine(script.spec, script.frame, script.schedule))
    assert len(played.fills) > 15
    assert not differing_fills(played.fills, peer.fills)
    gaps = [abs(float(ours) - theirs) for ours, theirs in zip(played.nav_usd, peer.nav["nav_usd"], strict=True)]
    assert max(gaps) <= ROUNDING_USD * len(played.fills)
