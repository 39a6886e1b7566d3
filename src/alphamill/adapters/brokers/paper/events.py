"""What happened at the paper broker: facts with their outcome, so that replaying them needs no prices or costs."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Protocol

from pydantic import Field

from alphamill.domain.orders import Fill, Order


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """A portfolio got its cash."""

    portfolio: str
    cash_usd: Decimal
    kind: Literal["account_opened"] = "account_opened"


@dataclass(frozen=True, slots=True)
class OrderRecorded:
    """An order was accepted, rejected or cancelled on request."""

    order: Order
    kind: Literal["order_recorded"] = "order_recorded"


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A split or dividend on the ex-date, with the raw close before it and the step that shares are rounded to."""

    symbol: str
    price_factor: float
    split_factor: float
    previous_close: Decimal
    share_step: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class CashSettlement:
    """A symbol stopped trading; whoever holds it is paid, and a short pays."""

    symbol: str
    cash_per_share_usd: Decimal


@dataclass(frozen=True, slots=True)
class SessionMatched:
    """One session went by: settlements and actions first, then fills. `closes` are kept for symbols held afterwards."""

    ts: dt.datetime
    symbols: tuple[str, ...]
    actions: tuple[CorporateAction, ...] = ()
    orders: tuple[Order, ...] = ()
    fills: tuple[Fill, ...] = ()
    closes: tuple[tuple[str, float], ...] = ()
    settlements: tuple[CashSettlement, ...] = ()
    kind: Literal["session_matched"] = "session_matched"


PaperEvent = Annotated[AccountOpened | OrderRecorded | SessionMatched, Field(discriminator="kind")]


class PaperStore(Protocol):
    """Where events survive the process. Appending is one transaction."""

    def append(self, events: list[PaperEvent]) -> None: ...

    def read(self) -> list[PaperEvent]:
        """All events, oldest first."""
        ...
