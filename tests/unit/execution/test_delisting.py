"""A symbol that stopped trading is paid out by the account and by the paper broker, to the cent and once."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.adapters.brokers.paper.store import SqlPaperStore
from alphamill.domain.orders import OrderStatus, Position
from alphamill.domain.portfolios import BrokerRef, Delisting, PortfolioSpec, Universe
from alphamill.errors import InvalidInput
from alphamill.execution import Account
from alphamill.testing.broker import cash_at, fills_at, positions_at
from alphamill.testing.orders import close_of, market_order, session_bars

D = Decimal
FREE = BrokerRef(commission_bps=0, slippage_bps=0, margin=True)
#: Session 2 is the last one of X.
LAST = close_of(2).date()


@pytest.mark.parametrize(("quantity", "cash"), [("40", "1500"), ("-40", "500")])
def test_a_position_becomes_cash_and_a_short_pays(quantity: str, cash: str) -> None:
    """1,000 in cash and 40 shares at 12.50: 500 more for a long, 500 less for a short. No commission."""
    account = Account(D(1000), {"X": Position("X", D(quantity), D(10), D(15))})
    assert account.settle_in_cash("X", D("12.50")) == Account(D(cash), {})
    assert account.settle_in_cash("Y", D("12.50")) == account


def test_a_worthless_symbol_pays_nothing() -> None:
    assert Account(D(7), {"X": Position("X", D(3), D(10))}).settle_in_cash("X", D(0)) == Account(D(7), {})


@pytest.mark.parametrize("cash", [D("-0.01"), D("NaN"), D("Infinity")])
def test_cash_that_is_none_is_refused(cash: Decimal) -> None:
    with pytest.raises(InvalidInput, match="cash of"):
        Account(D(0), {"X": Position("X", D(3), D(10))}).settle_in_cash("X", cash)


def test_a_delisting_of_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(ValueError, match="delistings names Z, which is not among the symbols"):
        Universe(symbols=("X",), delistings={"Z": Delisting(last_session=LAST)})


def test_a_portfolio_file_declares_when_a_symbol_stops() -> None:
    universe = {"symbols": ["X"], "delistings": {"X": {"last_session": "2012-10-03", "cash_per_share_usd": "1.25"}}}
    spec = PortfolioSpec.model_validate({"name": "demo", "universe": universe})
    assert spec.universe.delistings["X"] == Delisting(last_session=dt.date(2012, 10, 3), cash_per_share_usd=D("1.25"))


def traded(broker: PaperBroker) -> None:
    """40 X at 10, then the closes 11 and 12; an order for more is open when X stops trading."""
    broker.submit(market_order("X", 40))
    for session, close in ((1, 11), (2, 12)):
        broker.on_bars(session_bars(session, {"X": 10, "Y": 5}, closes={"X": close}))
    broker.submit(market_order("X", 10, session=2))


def broker_of(cash: Decimal | None, store: SqlPaperStore | None = None) -> PaperBroker:
    gone = {"X": Delisting(last_session=LAST, cash_per_share_usd=cash)}
    return PaperBroker(FREE, initial_cash={"demo": D(1000)}, store=store, delistings=gone)


@pytest.mark.parametrize(("cash", "after"), [(None, "1080"), (D("2.50"), "700")])
def test_the_broker_pays_the_last_close_or_the_declared_cash(cash: Decimal | None, after: str) -> None:
    """1,000 - 40 * 10 = 600 in cash; 40 * 12 = 480 for the last close, 40 * 2.50 = 100 for the declared cash."""
    broker = broker_of(cash)
    traded(broker)
    assert (cash_at(broker), len(positions_at(broker))) == (D(600), 1)
    broker.on_bars(session_bars(3, {"Y": 5}))
    assert (cash_at(broker), positions_at(broker)) == (D(after), [])


def test_an_open_order_of_a_symbol_that_is_gone_is_cancelled_with_the_reason() -> None:
    broker = broker_of(None)
    traded(broker)
    broker.on_bars(session_bars(3, {"Y": 5}))
    order = broker.order(market_order("X", 10, session=2).id)
    assert order is not None
    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, D(0))
    assert order.detail == f"X is delisted: its last session was {LAST}"


def test_a_bar_of_another_company_under_the_same_name_moves_nothing() -> None:
    broker = broker_of(None)
    traded(broker)
    broker.on_bars(session_bars(3, {"X": 90, "Y": 5}))
    assert (cash_at(broker), positions_at(broker)) == (D(1080), [])
    broker.submit(market_order("X", 1, session=3))
    broker.on_bars(session_bars(4, {"X": 90, "Y": 5}))
    assert (cash_at(broker), positions_at(broker)) == (D(1080), [])
    assert len(fills_at(broker)) == 1


def test_the_payment_happens_once_across_restarts(tmp_path: Path) -> None:
    def reopened() -> PaperBroker:
        return broker_of(None, SqlPaperStore(f"sqlite:///{tmp_path}/paper.db"))

    traded(reopened())
    for _ in range(3):
        broker = reopened()
        broker.on_bars(session_bars(3, {"Y": 5}))
        assert (cash_at(broker), positions_at(broker)) == (D(1080), [])
    assert cash_at(reopened()) == D(1080)
