"""One scenario: played by us, compared with what a person computed, then with the second engine."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import pytest

from alphamill.domain.orders import Side
from alphamill.testing.script import Played, Script, play
from benchmarks.peers.agreement import differing_fills
from benchmarks.peers.ml4t_engine import peer_engine, peer_run

#: (bar, symbol, side, quantity, price, commission), as a person writes them.
HandFill = tuple[int, str, Side, str, str, str]


def _as_played(fill: HandFill) -> tuple[object, ...]:
    return (*fill[:3], *map(Decimal, fill[3:]))


def require_by_hand(played: Played, fills: Sequence[HandFill], nav: Mapping[int, str]) -> None:
    """Every fill, and the value at the closes that were computed, exactly."""
    done = [
        (played.bar_of(fill), fill.symbol, fill.side, fill.quantity, fill.price, fill.commission_usd)
        for fill in played.fills
    ]
    assert done == [_as_played(fill) for fill in fills]
    assert {bar: played.nav_usd[bar] for bar in nav} == {bar: Decimal(value) for bar, value in nav.items()}


def require_second_engine_agrees(played: Played) -> None:
    """The same fills, and the same value at every close within one step of our money."""
    script = played.script
    peer = peer_run(peer_engine(script.spec, script.frame, script.schedule))
    assert not differing_fills(played.fills, peer.fills)
    assert [float(value) for value in played.nav_usd] == pytest.approx(peer.nav["nav_usd"].to_list(), abs=1e-6, rel=0)


@pytest.fixture
def scenario() -> Callable[..., Played]:
    """Play a script; hold it against the hand-computed result and, unless `alone` says why not, the second engine."""

    def run(script: Script, *, fills: Sequence[HandFill], nav: Mapping[int, str], alone: str = "") -> Played:
        played = play(script)
        require_by_hand(played, fills, nav)
        if not alone:
            require_second_engine_agrees(played)
        return played

    return run
