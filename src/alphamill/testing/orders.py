"""Short builders for orders, fills and the bars of one session."""

import datetime as dt
from decimal import Decimal
from itertools import count
from typing import Final

import polars as pl

from alphamill.domain.bars import BAR_SCHEMA
from alphamill.domain.orders import Fill, Order, Side, order_id

FIRST_CLOSE: Final = dt.datetime(2012, 10, 1, 20, tzinfo=dt.UTC)

_fill_numbers = count(1)


def close_of(session: int) -> dt.datetime:
    """Close of the n-th day after `FIRST_CLOSE`; weekends trade too."""
    return FIRST_CLOSE + dt.timedelta(days=session)


def market_order(
    symbol: str,
    signed_quantity: int | str,
    *,
    session: int = 0,
    portfolio: str = "demo",
    price: str = "100",
    reason: str = "test",
) -> Order:
    """A PENDING order decided at the close of `session`; a negative quantity sells."""
    quantity = abs(Decimal(signed_quantity))
    side = Side.BUY if Decimal(signed_quantity) > 0 else Side.SELL
    at = close_of(session)
    id_ = order_id(portfolio, at, symbol, side, quantity)
    return Order(id_, portfolio, at, symbol, side, quantity, Decimal(price), reason)


def fill_of(symbol: str, signed_quantity: int | str, price: str, *, commission: str = "0") -> Fill:
    """A fill of an order nobody knows, with an id of its own."""
    side = Side.BUY if Decimal(signed_quantity) > 0 else Side.SELL
    number, quantity = next(_fill_numbers), abs(Decimal(signed_quantity))
    return Fill(
        f"fill_{number}", f"ord_{number}", symbol, side, quantity, Decimal(price), Decimal(commission), FIRST_CLOSE
    )


def session_bars(
    session: int,
    opens: dict[str, float],
    *,
    closes: dict[str, float] | None = None,
    price_factors: dict[str, float] | None = None,
    split_factors: dict[str, float] | None = None,
    volumes: dict[str, float] | None = None,
) -> pl.DataFrame:
    """Bars of `BAR_SCHEMA` of one session; closes equal opens, factors are 1 and volumes a million unless given."""
    ts = close_of(session)
    closes, price_factors, split_factors = closes or {}, price_factors or {}, split_factors or {}
    rows = []
    for symbol, open_ in opens.items():
        close, split = closes.get(symbol, open_), split_factors.get(symbol, 1.0)
        rows.append(
            {
                "symbol": symbol,
                "ts": ts,
                "session": ts.date(),
                "open": open_,
                "high": max(open_, close),
                "low": min(open_, close),
                "close": close,
                "volume": (volumes or {}).get(symbol, 1e6),
                "price_factor": price_factors.get(symbol, split),
                "split_factor": split,
                "source": "test",
                "ingested_at": ts,
            }
        )
    return pl.DataFrame(rows, schema=BAR_SCHEMA)
