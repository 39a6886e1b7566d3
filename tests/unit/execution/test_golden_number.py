"""SmaCross(10, 20) on raw GOOG closes through our own broker, account and costs: a number to the cent."""

from decimal import ROUND_FLOOR, Decimal
from importlib import resources

import numpy as np
import polars as pl

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.domain.bars import BAR_SCHEMA
from alphamill.domain.orders import Order, Side, order_id
from alphamill.domain.portfolios import BrokerRef
from alphamill.execution import Account
from alphamill.testing.broker import cash_at, fills_at, positions_at

START_CASH = Decimal(10_000)


def google_bars() -> pl.DataFrame:
    sample = resources.files("alphamill.samples").joinpath("us_stocks.csv.gz")
    with resources.as_file(sample) as path:
        raw = pl.read_csv(path, try_parse_dates=True).filter(pl.col("Ticker") == "GOOG").sort("Date")
    close = pl.col("session").cast(pl.Datetime("us")).dt.offset_by("21h").dt.replace_time_zone("UTC")
    return (
        raw.rename({name: name.lower() for name in ("Open", "High", "Low", "Close", "Volume")})
        .rename({"Ticker": "symbol", "Date": "session"})
        .with_columns(
            close.alias("ts"),
            close.alias("ingested_at"),
            pl.lit("sample").alias("source"),
            pl.lit(1.0).alias("price_factor"),
            pl.lit(1.0).alias("split_factor"),
            pl.col("volume").cast(pl.Float64),
        )
        .select(BAR_SCHEMA.names())
        .cast(dict(BAR_SCHEMA))
    )


def strict_crosses(close: np.ndarray) -> np.ndarray:
    """+1 where SMA 10 crosses above SMA 20, -1 below, 0 elsewhere."""

    def sma(n: int) -> np.ndarray:
        return np.concatenate([np.full(n - 1, np.nan), np.convolve(close, np.ones(n), "valid") / n])

    gap = sma(10) - sma(20)
    before, now = gap[:-1], gap[1:]
    return np.concatenate([[0], np.where((before < 0) & (now > 0), 1, np.where((before > 0) & (now < 0), -1, 0))])


def flip_order(account: Account, side: int, open_: Decimal, decided_at) -> Order:
    """Close what is held and open the other side at the same open, sized by the equity after the close."""
    held = account.positions["GOOG"].quantity if account.positions else Decimal(0)
    equity = account.cash_usd + held * open_ - abs(held) * open_ * Decimal("0.002")
    size = (Decimal("0.9999") * equity / (open_ * Decimal("1.002"))).to_integral_value(rounding=ROUND_FLOOR)
    change = side * size - held
    order_side = Side.BUY if change > 0 else Side.SELL
    id_ = order_id("golden", decided_at, "GOOG", order_side, abs(change))
    return Order(id_, "golden", decided_at, "GOOG", order_side, abs(change), open_, "cross")


def test_sma_cross_on_google_ends_at_55979_43_after_93_closed_trades() -> None:
    bars = google_bars()
    crosses = strict_crosses(bars["close"].to_numpy())
    broker = PaperBroker(BrokerRef(commission_bps=20, slippage_bps=0, margin=True), initial_cash={"golden": START_CASH})
    account, last_fill, closed, signal = Account(START_CASH), None, 0, None
    for session, cross in zip(bars.iter_slices(1), crosses, strict=True):
        if signal is not None:
            side, decided_at = signal
            closed += bool(account.positions)
            broker.submit(flip_order(account, side, Decimal(str(session["open"][0])), decided_at))
        broker.on_bars(session)
        for fill in fills_at(broker, "golden", cursor=last_fill):
            account, last_fill = account.apply(fill), fill.id
        signal = (int(cross), session["ts"][0]) if cross else None
    equity = account.nav({"GOOG": Decimal(str(bars["close"][-1]))})
    assert closed == 93
    assert round(equity, 2) == Decimal("55979.43")
    assert list(account.positions.values()) == positions_at(broker, "golden")
    assert account.cash_usd == cash_at(broker, "golden")
