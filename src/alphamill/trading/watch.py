"""A slow broker leaves time for a halt: what is not handed over by then, the next round cancels."""

import time
from collections.abc import Callable
from typing import Final

from alphamill.domain.ledger import PortfolioRecord

#: While sending takes longer than this, the state is read again.
LOOK_AGAIN_SECS: Final = 0.05


def state_moved(record: PortfolioRecord, load: Callable[[], PortfolioRecord]) -> Callable[[], bool]:
    """Asked between orders: whether the portfolio's state is no longer that of `record`; `load` reads it again."""
    looked = time.monotonic()

    def moved() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_AGAIN_SECS:
            return False
        looked = time.monotonic()
        return load().state is not record.state

    return moved
