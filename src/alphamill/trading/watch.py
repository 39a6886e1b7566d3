"""A slow broker leaves time for a halt: what is not handed over by then, the next round cancels."""

import time
from collections.abc import Callable
from typing import Final

from alphamill.domain.ledger import PortfolioRecord

#: While sending takes longer than this, the state is read again.
LOOK_AGAIN_SECS: Final = 0.05


def moved_on(
    record: PortfolioRecord, load: Callable[[], PortfolioRecord], holds: Callable[[], bool]
) -> Callable[[], bool]:
    """Asked between orders: whether the state is no longer that of `record`, or the lease is no longer held.

    `load` reads the record again, `holds` the lease. A process that was stopped in between is asked when it goes on.
    """
    looked = time.monotonic()

    def moved() -> bool:
        nonlocal looked
        if time.monotonic() - looked < LOOK_AGAIN_SECS:
            return False
        looked = time.monotonic()
        return not holds() or load().state is not record.state

    return moved
