"""Who may act: one at a time, and whoever lost it can no longer write."""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Grant:
    """A lease as it was granted; `token` rises with every change of holder and is never used again."""

    name: str
    holder: str
    token: int
    expires_at: dt.datetime


class Lease(Protocol):
    """One lease, held until it expires, is renewed or is given back."""

    def acquire(self, holder: str) -> Grant | None:
        """A new grant, or the holder's own renewed under the same token; None while another one holds it."""
        ...

    def release(self, grant: Grant) -> None:
        """Give it back before it expires; a grant that is not the current one changes nothing."""
        ...

    def current(self) -> Grant | None:
        """Who holds it now; None when nobody does."""
        ...
