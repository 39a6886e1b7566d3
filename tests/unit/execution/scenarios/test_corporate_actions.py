"""Splits and dividends while holding: the form of the position changes, its value does not."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script, play
from benchmarks.peers.ml4t_engine import peer_engine, peer_run

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)
NO_ACTIONS = "it knows no corporate actions"


def test_split_while_holding_changes_the_value_by_nothing(scenario: Scenario) -> None:
    split = Bar(51, 52, price_factor=0.5, split_factor=0.5)
    bars = [FLAT, FLAT, Bar(100, 104), split, Bar(53, 50), Bar(55, 55)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}, 4: {"AAA": 0}}),
        # 500 shares at 100 become 1,000 at 50 before the open of bar 3.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (5, "AAA", SELL, "1000", "55", "0")],
        nav={
            2: "102000",  # 500 * (104 - 100)
            3: "102000",  # 1,000 * (52 - 50): 52 after the split is 104 before it
            4: "100000",  # 1,000 * (50 - 50)
            5: "105000",  # 1,000 * (55 - 50)
        },
        alone=NO_ACTIONS,
    )
    assert not played.record.positions


def test_split_while_holding_is_worth_what_the_second_engine_makes_of_adjusted_prices() -> None:
    split = Bar(51, 52, price_factor=0.5, split_factor=0.5)
    raw = Script(
        {"AAA": [FLAT, FLAT, Bar(100, 104), split, Bar(53, 50), Bar(55, 55)]},
        targets={1: {"AAA": 0.5}, 4: {"AAA": 0}},
        broker={"commission_bps": 5, "slippage_bps": 10},
    )
    half = Bar(50, 50)
    adjusted = replace(raw, bars={"AAA": [half, half, Bar(50, 52), Bar(51, 52), Bar(53, 50), Bar(55, 55)]})
    peer = peer_run(peer_engine(adjusted.spec, adjusted.frame, adjusted.schedule))
    ours = [float(value) for value in play(raw).nav_usd]
    assert ours == pytest.approx(peer.nav["nav_usd"].to_list(), abs=1e-6, rel=0)


def test_split_of_a_short_changes_the_value_by_nothing(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(25, 24, price_factor=0.25, split_factor=0.25), Bar(24, 24)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": -0.5}}),
        fills=[(2, "AAA", SELL, "500", "100", "0")],
        nav={2: "100000", 3: "102000"},  # -2,000 * (24 - 25)
        alone=NO_ACTIONS,
    )
    position = played.record.positions["AAA"]
    assert (position.quantity, position.average_price) == (-2000, 25)


def test_reverse_split_pays_the_fraction_of_a_share_in_cash(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(300, 306, price_factor=3.0, split_factor=3.0)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        # 500 / 3 = 166 2/3: 166 shares stay, 2/3 of a share is paid at 300 = 200.
        nav={2: "100000", 3: "100996"},  # 166 * (306 - 300) = 996
        alone=NO_ACTIONS,
    )
    assert played.record.positions["AAA"].quantity == 166
    assert played.record.cash_usd == 50_200


def test_order_decided_before_a_split_fills_in_new_shares(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(50, 51, price_factor=0.5, split_factor=0.5)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "1000", "50", "0")],  # 500 shares were decided at 100
        nav={2: "101000"},  # 1,000 * (51 - 50)
        alone=NO_ACTIONS,
    )


def test_dividend_is_paid_in_cash_at_the_open_of_the_ex_date(scenario: Scenario) -> None:
    # 2 USD on a close of 100: price factor 0.98.
    bars = [FLAT, FLAT, FLAT, Bar(98, 99, price_factor=0.98), Bar(99, 99)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={2: "100000", 3: "100500"},  # 500 * (99 - 100) + 500 * 2
        alone="it pays no dividends",
    )
    assert played.record.cash_usd == 51_000
    assert played.record.positions["AAA"].average_price == 100  # the price fell, the cost did not


def test_short_pays_the_dividend(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(98, 99, price_factor=0.98)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": -0.5}}),
        fills=[(2, "AAA", SELL, "500", "100", "0")],
        nav={3: "99500"},  # -500 * (99 - 100) - 500 * 2
        alone="it pays no dividends",
    )


def test_who_buys_at_the_open_of_the_ex_date_gets_no_dividend(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(98, 99, price_factor=0.98)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "500", "98", "0")],
        nav={2: "100500"},  # 500 * (99 - 98)
    )


def test_split_and_dividend_on_one_day(scenario: Scenario) -> None:
    # 2:1 and 4 USD per old share on a close of 100: 0.96 * 0.5 = 0.48.
    bars = [FLAT, FLAT, FLAT, Bar(48, 48, price_factor=0.48, split_factor=0.5)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={3: "100000"},  # 1,000 * 48 + 500 * 4 = 50,000
        alone=NO_ACTIONS,
    )
    assert played.record.cash_usd == Decimal(52_000)
