"""Books drawn at random, long and short, with gaps over night: entries, additions, cuts and flips."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

from alphamill.testing.script import Bar, Played, Script, play
from benchmarks.peers.agreement import differing_fills
from benchmarks.peers.ml4t_engine import peer_engine, peer_run

BARS: Final = 45
NAMES: Final = ("AAA", "BBB", "CCC", "DDD")

COSTS: Final = {"commission_bps": 5, "slippage_bps": 2}

#: Half a step of our money, for each fill: its commission is rounded, its price (cents and 2 bps) is not.
ROUNDING_USD: Final = 5e-7


def random_book(seed: int, **settings: Any) -> Script:
    """Prices in cents with gaps over night, volumes by tens of thousands, new weights at about every third bar."""
    rng = np.random.default_rng(seed)
    opens = np.round(rng.uniform(20, 200, 4) * np.exp(rng.normal(0, 0.03, (BARS, 4)).cumsum(axis=0)), 2)
    closes = np.round(opens * np.exp(rng.normal(0, 0.02, opens.shape)), 2)
    volumes = 10_000.0 * rng.integers(1, 100, opens.shape)
    bars = {
        name: [Bar(o, c, volume=v) for o, c, v in zip(opens[:, i], closes[:, i], volumes[:, i], strict=True)]
        for i, name in enumerate(NAMES)
    }
    numbers = np.flatnonzero(rng.random(BARS - 1) < 0.3)
    weights = [np.round(rng.uniform(-0.4, 0.4, 4) * (rng.random(4) < 0.7), 6).tolist() for _ in numbers]
    targets = {int(n): dict(zip(NAMES, wanted, strict=True)) for n, wanted in zip(numbers, weights, strict=True) if n}
    return Script(bars, targets, **settings)


def require_the_same_cent(script: Script) -> Played:
    played = play(script)
    peer = peer_run(peer_engine(script.spec, script.frame, script.schedule))
    assert len(played.fills) > 15
    assert not differing_fills(played.fills, peer.fills)
    gaps = [abs(float(ours) - theirs) for ours, theirs in zip(played.nav_usd, peer.nav["nav_usd"], strict=True)]
    assert max(gaps) <= ROUNDING_USD * len(played.fills)
    return played


@pytest.mark.parametrize("seed", range(6))
def test_random_book_of_longs_and_shorts_ends_at_the_same_cent(seed: int) -> None:
    require_the_same_cent(random_book(seed, broker=COSTS))


@pytest.mark.parametrize("seed", range(6, 12))
def test_random_book_under_a_volume_cap_ends_at_the_same_cent(seed: int) -> None:
    broker = {**COSTS, "max_participation_pct": 0.1, "share_step": "0.001"}
    played = require_the_same_cent(random_book(seed, broker=broker, every_bars=BARS * 2))
    assert len(played.fills) > len(played.orders)  # some in parts


@pytest.mark.parametrize("seed", range(12, 16))
def test_random_cash_account_is_cut_alike_at_the_open(seed: int) -> None:
    book, rng = random_book(seed), np.random.default_rng(seed)
    # All of the cash is wanted at every target, so an open above the close leaves too little of it.
    targets = {
        n: dict(zip(NAMES, np.round(0.999 * rng.dirichlet(np.ones(4)), 6).tolist(), strict=True)) for n in book.targets
    }
    played = require_the_same_cent(replace(book, targets=targets, broker={"commission_bps": 5, "margin": False}))
    assert any(0 < order.filled_quantity < order.quantity for order in played.orders)
