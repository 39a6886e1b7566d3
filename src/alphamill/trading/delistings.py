"""Symbols of a universe that stopped trading: what is still held is paid out, and nobody asks for a forecast."""

import datetime as dt
from decimal import Decimal
from typing import Final

import numpy as np

from alphamill.domain.calendars import last_close
from alphamill.domain.decisions import Refusal
from alphamill.domain.money import to_decimal
from alphamill.domain.orders import Position
from alphamill.domain.portfolios import Universe
from alphamill.execution import Account
from alphamill.features.history import BarHistory

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Delistings:
    """The delistings of one universe, on its calendar. Before the close of a symbol's last session it does nothing."""

    def __init__(self, universe: Universe) -> None:
        self._terms = universe.delistings
        self._closes = {s: last_close(universe.calendar, d.last_session) for s, d in self._terms.items()}

    def gone(self, ts: dt.datetime) -> frozenset[str]:
        """Symbols that no longer trade in the session closed at `ts`."""
        return frozenset(symbol for symbol, close in self._closes.items() if ts > close)

    def refusals(self, ts: dt.datetime) -> tuple[Refusal, ...]:
        """One per symbol that is gone."""
        gone = self.gone(ts)
        return tuple(
            Refusal(symbol, "DELISTED", f"its last session was {delisting.last_session}")
            for symbol, delisting in self._terms.items()
            if symbol in gone
        )

    def settle(
        self, account: Account, history: BarHistory, ts: dt.datetime
    ) -> tuple[Account, list[tuple[Position, Decimal]]]:
        """The book after cash for what is held of symbols that are gone, and what was paid for which positions.

        Without declared cash, a share pays its last raw close before the session closed at `ts`, which is the one the
        broker knows as well.
        """
        paid = []
        for symbol in sorted(self.gone(ts) & account.positions.keys()):
            position, before = account.positions[symbol], account.cash_usd
            cash = self._terms[symbol].cash_per_share_usd
            account = account.settle_in_cash(symbol, _close_before(history, symbol, ts) if cash is None else cash)
            paid.append((position, account.cash_usd - before))
        return account, paid


def _close_before(history: BarHistory, symbol: str, ts: dt.datetime) -> Decimal:
    window = history.window(symbol)
    bars = int(np.searchsorted(window.ts, (ts - EPOCH) // dt.timedelta(microseconds=1)))
    return to_decimal(float(window.close[bars - 1]))
