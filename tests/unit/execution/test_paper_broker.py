"""What the paper broker does at an open, by hand."""

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.domain.orders import Order, OrderStatus, Position
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import Conflict, DataUnfit, NotFound
from alphamill.execution import Account, Commission, Slippage
from alphamill.testing.broker import cash_at, fills_at, positions_at
from alphamill.testing.orders import close_of, market_order, session_bars

D = Decimal


def paper(
    cash: str = "10000", *, commission: float = 0, slippage: float = 0, margin: bool = False, **broker: Any
) -> PaperBroker:
    ref = BrokerRef(commission_bps=commission, slippage_bps=slippage, margin=margin, **broker)
    return PaperBroker(ref, initial_cash={"demo": D(cash)})


def known(broker: PaperBroker, order: Order) -> Order:
    answer = broker.order(order.id)
    assert answer is not None
    return answer


def test_fill_pays_slippage_and_commission() -> None:
    broker = paper(commission=5, slippage=2)
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"A": 100.0}))
    (fill,) = fills_at(broker)
    assert (fill.price, fill.commission_usd) == (D("100.02"), D("0.500100"))
    assert cash_at(broker) == D(10_000) - D("1000.2") - D("0.5001")


def test_own_cost_models_replace_those_of_the_reference() -> None:
    broker = PaperBroker(
        BrokerRef(),
        initial_cash={"demo": D(10_000)},
        commission=Commission(usd_per_share=D("0.01")),
        slippage=Slippage(usd_per_share=D("0.5")),
    )
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"A": 100.0}))
    (fill,) = fills_at(broker)
    assert (fill.price, fill.commission_usd) == (D("100.5"), D("0.1"))


def test_order_waits_for_the_first_session_with_a_bar_of_its_symbol() -> None:
    broker = paper()
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"B": 5.0}))
    assert known(broker, market_order("A", 10)).status is OrderStatus.ACCEPTED
    broker.on_bars(session_bars(2, {"A": 90.0}))
    assert [fill.price for fill in fills_at(broker)] == [90]


def test_late_symbol_of_the_same_session_still_fills_once() -> None:
    broker = paper()
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"B": 5.0}))
    for _ in range(2):
        broker.on_bars(session_bars(1, {"A": 90.0, "B": 5.0}))
    assert [fill.price for fill in fills_at(broker)] == [90]


def test_buy_is_cut_to_the_shares_that_cash_pays_for() -> None:
    order = market_order("A", 150)
    broker = paper(commission=20)
    broker.submit(order)
    broker.on_bars(session_bars(1, {"A": 100.0}))
    after = known(broker, order)
    assert (after.status, after.filled_quantity) == (OrderStatus.CANCELLED, 99)
    assert after.detail.startswith("99 of 150 filled: cash 10000.00 USD does not reach")
    assert cash_at(broker) == D(10_000) - 9900 - D("19.8")


def test_buy_without_any_cash_is_cancelled_with_a_reason() -> None:
    broker = paper("50")
    broker.submit(market_order("A", 1))
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert known(broker, market_order("A", 1)).detail.startswith("0 of 1 filled")
    assert fills_at(broker) == []


def test_sells_pay_for_buys_of_the_same_open() -> None:
    broker = paper("1000")
    broker.submit(market_order("Z", 10))
    broker.on_bars(session_bars(1, {"Z": 100.0}))
    for order in (market_order("A", 20, session=1), market_order("Z", -10, session=1)):
        broker.submit(order)
    broker.on_bars(session_bars(2, {"A": 50.0, "Z": 100.0}))
    assert positions_at(broker) == [Position("A", D(20), D(50))]


def test_margin_lets_cash_go_negative() -> None:
    broker = paper("1000", margin=True)
    broker.submit(market_order("A", 20))
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert cash_at(broker) == -1000


def test_split_before_the_open_changes_the_open_order_and_the_position() -> None:
    broker = paper()
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"A": 100.0}, closes={"A": 104.0}))
    sell = market_order("A", -5, session=1, price="104")
    broker.submit(sell)
    broker.on_bars(session_bars(2, {"A": 52.0}, split_factors={"A": 0.5}))
    assert positions_at(broker) == [Position("A", D(10), D(50))]
    after = known(broker, sell)
    assert (after.quantity, after.filled_quantity, after.reference_price) == (10, 10, 104)
    assert "split 2:1: 5 became 10" in after.detail
    assert broker.submit(sell) == after


def test_reverse_split_may_leave_nothing_of_an_open_order() -> None:
    broker = paper()
    order = market_order("A", 5)
    broker.submit(order)
    broker.on_bars(session_bars(1, {"A": 1000.0}, split_factors={"A": 10.0}))
    assert known(broker, order).status is OrderStatus.CANCELLED
    assert fills_at(broker) == []


def test_dividend_is_paid_on_the_previous_close_to_who_held_before() -> None:
    broker = paper()
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"A": 100.0}, closes={"A": 110.0}, price_factors={"A": 0.9}))
    assert cash_at(broker) == 9000
    broker.on_bars(session_bars(2, {"B": 1.0}))
    broker.on_bars(session_bars(3, {"A": 100.0}, price_factors={"A": 0.98}))
    assert cash_at(broker) == 9000 + D("22")


def test_broker_and_ledger_agree_on_actions() -> None:
    broker = paper()
    broker.submit(market_order("A", 10))
    broker.on_bars(session_bars(1, {"A": 100.0}, closes={"A": 110.0}))
    account = Account(D(10_000)).apply(fills_at(broker)[0]).apply_action("A", 0.49, 0.5, D(110))
    broker.on_bars(session_bars(2, {"A": 54.0}, price_factors={"A": 0.49}, split_factors={"A": 0.5}))
    assert list(account.positions.values()) == positions_at(broker)
    assert account.cash_usd == cash_at(broker)


def test_order_decided_within_a_session_waits_for_the_next_open() -> None:
    broker = paper()
    intraday = market_order("A", 1, session=1)
    assert intraday.decided_at == close_of(1)
    broker.submit(intraday)
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert fills_at(broker) == []


def test_given_session_open_lets_an_order_before_it_fill() -> None:
    opens_late = dt.timedelta(hours=23)
    broker = PaperBroker(
        BrokerRef(),
        initial_cash={"demo": D(10_000)},
        session_open=lambda day: dt.datetime.combine(day, dt.time(), dt.UTC) + opens_late,
    )
    broker.submit(market_order("A", 1, session=1))
    broker.on_bars(session_bars(1, {"A": 100.0}))
    assert [fill.filled_at for fill in fills_at(broker)] == [dt.datetime(2012, 10, 2, 23, tzinfo=dt.UTC)]


def test_bad_number_in_a_needed_bar_stops_before_anything_changes() -> None:
    broker = paper()
    broker.submit(market_order("A", 1))
    bars = session_bars(1, {"A": 100.0, "B": 5.0})
    with pytest.raises(DataUnfit, match="A has open nan"):
        broker.on_bars(bars.with_columns(open=pl.lit(float("nan"))))
    broker.on_bars(bars)
    assert [fill.price for fill in fills_at(broker)] == [100]


def test_bars_of_two_sessions_are_refused() -> None:
    with pytest.raises(Conflict, match="one session"):
        paper().on_bars(pl.concat([session_bars(1, {"A": 1.0}), session_bars(2, {"A": 1.0})]))


def test_empty_frame_changes_nothing() -> None:
    broker = paper()
    broker.on_bars(session_bars(1, {"A": 1.0}).clear())
    broker.submit(market_order("A", 1))
    broker.on_bars(session_bars(1, {"A": 1.0}))
    assert len(fills_at(broker)) == 1


def test_unknown_portfolio_is_rejected_when_sending_and_not_found_when_asking() -> None:
    broker = paper()
    answer = broker.submit(market_order("A", 1, portfolio="nobody"))
    assert (answer.status, answer.detail) == (OrderStatus.REJECTED, "the paper broker has no portfolio nobody")
    with pytest.raises(NotFound, match="no portfolio nobody"):
        positions_at(broker, "nobody")


def test_quantity_that_is_not_above_zero_is_rejected() -> None:
    assert paper().submit(market_order("A", 0)).status is OrderStatus.REJECTED
