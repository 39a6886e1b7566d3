"""A volume cap, fractions of a share and per-share costs at the paper broker, each number computed by hand."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.domain.orders import Order, OrderStatus, Position
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import DataUnfit
from alphamill.testing.broker import cash_at, fills_at, positions_at
from alphamill.testing.orders import market_order, session_bars

D = Decimal
PARTLY, FILLED, CANCELLED = OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED, OrderStatus.CANCELLED


def paper(cash: str = "10000", **broker: Any) -> PaperBroker:
    ref = BrokerRef(**{"commission_bps": 0, "slippage_bps": 0, **broker})
    return PaperBroker(ref, initial_cash={"demo": D(cash), "other": D(cash)})


def a_bar(session: int, open_: float, volume: float, split: float = 1.0) -> pl.DataFrame:
    return session_bars(session, {"A": open_}, volumes={"A": volume}, split_factors={"A": split})


def state(broker: PaperBroker, order: Order) -> tuple[OrderStatus, Decimal, Decimal]:
    answer = broker.order(order.id)
    assert answer is not None
    return answer.status, answer.filled_quantity, answer.quantity


def filled(broker: PaperBroker, portfolio: str = "demo") -> list[tuple[Decimal, Decimal]]:
    return [(fill.quantity, fill.price) for fill in fills_at(broker, portfolio)]


def test_an_order_above_the_cap_fills_over_several_opens() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 250)
    broker.submit(order)
    # 10 % of 1,000 shares is 100 a session: 100 + 100 + 50.
    for session, open_, expected in (
        (1, 10.0, (PARTLY, 100, 250)),
        (2, 11.0, (PARTLY, 200, 250)),
        (3, 12.0, (FILLED, 250, 250)),
    ):
        broker.on_bars(a_bar(session, open_, 1000))
        assert state(broker, order) == expected
    broker.on_bars(a_bar(4, 13.0, 1000))
    assert filled(broker) == [(100, 10), (100, 11), (50, 12)]
    assert len({fill.id for fill in fills_at(broker)}) == 3
    # (1,000 + 1,100 + 600) / 250 = 10.80; 10,000 - 2,700 = 7,300
    assert positions_at(broker) == [Position("A", D(250), D("10.8"))]
    assert cash_at(broker) == 7300


def test_a_partly_filled_order_says_why_it_waits_and_a_filled_one_says_nothing() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 150)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 1000))
    answer = broker.order(order.id)
    assert answer is not None
    assert answer.detail.startswith("100 of 150 filled: 100 could trade under the volume cap")
    broker.on_bars(a_bar(2, 10.0, 1000))
    answer = broker.order(order.id)
    assert answer is not None
    assert answer.detail == ""


def test_all_orders_of_a_symbol_share_the_cap_and_sells_come_first() -> None:
    broker = paper(max_participation_pct=10, margin=True)
    buy, sell = market_order("A", 80), market_order("A", -60, portfolio="other")
    for order in (buy, sell):
        broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 1000))
    # 100 shares may trade: the sell takes 60, 40 are left for the buy.
    assert (state(broker, sell), state(broker, buy)) == ((FILLED, 60, 60), (PARTLY, 40, 80))


def test_the_cap_is_rounded_down_to_the_step() -> None:
    broker, order = paper(max_participation_pct=2.5, share_step="0.1"), market_order("A", 100)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 999))
    # 2.5 % of 999 is 24.975.
    assert filled(broker) == [(D("24.9"), 10)]


def test_a_session_without_volume_fills_nothing_and_the_order_waits() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 50)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 0))
    assert state(broker, order) == (OrderStatus.ACCEPTED, 0, 50)
    broker.on_bars(a_bar(2, 11.0, 1000))
    assert filled(broker) == [(50, 11)]


def test_a_remainder_can_be_cancelled_and_keeps_what_has_filled() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 250)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 1000))
    broker.cancel(order.id)
    broker.on_bars(a_bar(2, 10.0, 1000))
    assert state(broker, order) == (CANCELLED, 100, 250)
    assert filled(broker) == [(100, 10)]


@pytest.mark.parametrize("volume", [float("nan"), -1.0, None])
def test_a_volume_that_is_none_stops_a_capped_order_before_anything_changes(volume: float | None) -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 250)
    broker.submit(order)
    bad = a_bar(1, 10.0, 1000).with_columns(volume=pl.lit(volume, dtype=pl.Float64))
    with pytest.raises(DataUnfit, match="A has volume"):
        broker.on_bars(bad)
    assert state(broker, order) == (OrderStatus.ACCEPTED, 0, 250)


def test_every_part_pays_its_own_commission_with_its_minimum() -> None:
    broker = paper(max_participation_pct=10, commission_usd_per_share="0.01", commission_min_usd="0.75")
    broker.submit(market_order("A", 150))
    for session in (1, 2):
        broker.on_bars(a_bar(session, 10.0, 1000))
    # 100 * 0.01 = 1.00; 50 * 0.01 = 0.50, under the minimum.
    assert [fill.commission_usd for fill in fills_at(broker)] == [1, D("0.75")]
    assert cash_at(broker) == D(10_000) - 1500 - D("1.75")


def test_all_costs_of_the_reference_add_up() -> None:
    broker = paper(
        commission_bps=10, commission_usd_per_share="0.02", slippage_bps=20, slippage_usd_per_share="0.05", margin=True
    )
    broker.submit(market_order("A", 100))
    broker.submit(market_order("B", -100))
    broker.on_bars(session_bars(1, {"A": 50.0, "B": 50.0}))
    # 20 bps of 50 = 0.10, plus 0.05: bought at 50.15, sold at 49.85.
    # Commissions: 100 * 49.85 = 4,985, 10 bps = 4.985, plus 100 * 0.02 = 2; and 5.015 + 2.
    assert [(f.symbol, f.price, f.commission_usd) for f in fills_at(broker)] == [
        ("B", D("49.85"), D("6.985")),
        ("A", D("50.15"), D("7.015")),
    ]
    assert cash_at(broker) == D(10_000) + 4985 - D("6.985") - 5015 - D("7.015")


def test_cash_that_is_short_cuts_the_part_and_cancels_the_rest() -> None:
    broker, order = paper("1000", max_participation_pct=10), market_order("A", 150)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 800))
    assert state(broker, order) == (PARTLY, 80, 150)
    broker.on_bars(a_bar(2, 10.0, 800))
    # 80 * 10 = 800 are spent; of the 70 that are left, 200 USD pay for 20.
    assert state(broker, order) == (CANCELLED, 100, 150)
    answer = broker.order(order.id)
    assert answer is not None
    assert answer.detail.startswith("100 of 150 filled: cash 200.00 USD does not reach")
    assert cash_at(broker) == 0


def test_a_split_between_two_parts_restates_what_filled_and_what_is_left() -> None:
    broker, order = paper("20000", max_participation_pct=10), market_order("A", 250)
    broker.submit(order)
    broker.on_bars(a_bar(1, 50.0, 1000))
    assert state(broker, order) == (PARTLY, 100, 250)
    broker.on_bars(a_bar(2, 25.0, 2000, split=0.5))
    # 100 of 250 are 200 of 500 in new shares; 10 % of 2,000 fill: 400 of 500.
    assert state(broker, order) == (PARTLY, 400, 500)
    answer = broker.order(order.id)
    assert answer is not None
    assert answer.detail.startswith("split 2:1: 250 became 500; 400 of 500 filled: 200 could trade")
    broker.on_bars(a_bar(3, 26.0, 2000))
    assert state(broker, order) == (FILLED, 500, 500)
    assert filled(broker) == [(100, 50), (200, 25), (100, 26)]
    # 20,000 - 5,000 - 5,000 - 2,600; (400 * 25 + 100 * 26) / 500 = 25.20
    assert cash_at(broker) == 7400
    assert positions_at(broker) == [Position("A", D(500), D("25.2"))]


def test_a_reverse_split_rounds_both_parts_down_and_pays_for_the_fraction_held() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 100)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 400))
    assert state(broker, order) == (PARTLY, 40, 100)
    broker.on_bars(a_bar(2, 31.0, 1000, split=3.0))
    # 40 / 3 = 13.33: 13 filled; 60 / 3 = 20 left, all of them bought now. A third of a share is paid at 3 * 10.
    assert state(broker, order) == (FILLED, 33, 33)
    assert filled(broker) == [(40, 10), (20, 31)]
    assert cash_at(broker) == D(10_000) - 400 + 10 - 620
    # (13 * 30 + 20 * 31) / 33
    assert positions_at(broker) == [Position("A", D(33), D("30.60606061"))]


def test_a_reverse_split_may_leave_nothing_to_fill() -> None:
    broker, order = paper(max_participation_pct=10), market_order("A", 43)
    broker.submit(order)
    broker.on_bars(a_bar(1, 10.0, 400))
    broker.on_bars(a_bar(2, 100.0, 1000, split=10.0))
    # 40 / 10 = 4 filled, 3 / 10 rounds to nothing.
    assert state(broker, order) == (CANCELLED, 4, 4)
    assert positions_at(broker) == [Position("A", D(4), D(100))]


def test_a_split_between_two_parts_of_fractional_shares() -> None:
    broker, order = paper(max_participation_pct=10, share_step="0.001"), market_order("A", "1")
    broker.submit(order)
    broker.on_bars(a_bar(1, 90.0, 4))
    assert state(broker, order) == (PARTLY, D("0.4"), 1)
    broker.on_bars(a_bar(2, 30.0, 6, split=1 / 3))
    # 0.4 and 0.6 are 1.2 and 1.8 in new shares; 0.6 may fill.
    assert state(broker, order) == (PARTLY, D("1.8"), 3)
    assert positions_at(broker) == [Position("A", D("1.8"), D(30))]
    assert cash_at(broker) == D(10_000) - 36 - 18


def test_cash_buys_the_most_steps_it_pays_for() -> None:
    broker, order = paper("1000", share_step="0.001", commission_bps=20), market_order("A", "12.345")
    broker.submit(order)
    broker.on_bars(a_bar(1, 100.0, 1e6))
    # A step costs 0.1002 with commission: 9,980 of them cost 999.996, one more 1,000.0962.
    assert state(broker, order) == (CANCELLED, D("9.980"), D("12.345"))
    assert cash_at(broker) == D("0.004")


def test_a_quantity_that_is_no_multiple_of_the_step_is_rejected_unless_it_brings_the_position_back() -> None:
    broker = paper(share_step="0.5")
    off = broker.submit(market_order("A", "0.75"))
    assert (off.status, off.detail) == (OrderStatus.REJECTED, "quantity 0.75 is no multiple of 0.5")
    broker.submit(market_order("A", "1.5"))
    broker.on_bars(a_bar(1, 10.0, 1e6))
    whole = PaperBroker(BrokerRef(), initial_cash={})
    whole._books = broker._books  # the same books after the portfolio file was changed to whole shares
    assert whole.submit(market_order("A", "-0.5", session=1)).status is OrderStatus.ACCEPTED
    assert whole.submit(market_order("A", "-0.2", session=1)).status is OrderStatus.REJECTED
