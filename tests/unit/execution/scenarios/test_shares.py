"""Whole shares and fractions of one: sized toward zero, in the direction of the target only."""

from collections.abc import Callable
from decimal import Decimal

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

ODD = Bar(333, 333)


def test_whole_shares_are_rounded_toward_zero(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": [ODD, ODD, Bar(330, 340)]}, targets={1: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "150", "330", "0")],  # 50,000 / 333 = 150.15
        nav={2: "101500"},  # 150 * (340 - 330)
    )


def test_whole_shares_of_a_short_are_rounded_toward_zero(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": [ODD, ODD, Bar(330, 340)]}, targets={1: {"AAA": -0.5}}),
        fills=[(2, "AAA", SELL, "150", "330", "0")],
        nav={2: "98500"},
    )


def test_buffer_is_never_allocated(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": [ODD, ODD, ODD]}, targets={1: {"AAA": 1.0}}, sizing={"cash_buffer_pct": 2.0}),
        fills=[(2, "AAA", BUY, "294", "333", "0")],  # 98,000 / 333 = 294.29
        nav={2: "100000"},
    )


def test_position_of_a_symbol_that_is_no_longer_wanted_is_sold_whole(scenario: Scenario) -> None:
    other = Bar(70, 70)
    scenario(
        Script(
            {"AAA": [ODD] * 4, "BBB": [other] * 4},
            targets={1: {"AAA": 0.5}, 2: {"BBB": 0.5}},
            broker={"commission_bps": 10},
        ),
        # 150 shares at 333 pay 49.95; of the 99,950.05 left, half buys 49,975.025 / 70 = 713.9: 713 shares.
        fills=[
            (2, "AAA", BUY, "150", "333", "49.95"),
            (3, "AAA", SELL, "150", "333", "49.95"),
            (3, "BBB", BUY, "713", "70", "49.91"),
        ],
        nav={2: "99950.05", 3: "99850.19"},
    )


THOUSANDTHS = {"share_step": "0.001"}


def test_fractions_of_a_share_are_rounded_toward_zero_to_the_step(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": [ODD, ODD, Bar(330, 340)]}, targets={1: {"AAA": 0.5}}, broker=THOUSANDTHS),
        fills=[(2, "AAA", BUY, "150.15", "330", "0")],  # 50,000 / 333 = 150.15015
        nav={2: "101501.5"},  # 150.15 * (340 - 330): 1.50 more than whole shares earn
    )


def test_fractions_of_a_share_pay_costs_on_the_fraction(scenario: Scenario) -> None:
    scenario(
        Script(
            {"AAA": [ODD, ODD, Bar(330, 340), Bar(340, 340)]},
            targets={1: {"AAA": -0.5}, 2: {"AAA": 0.0}},
            broker={**THOUSANDTHS, "commission_bps": 10, "slippage_bps": 20},
        ),
        fills=[
            (2, "AAA", SELL, "150.15", "329.34", "49.450401"),  # 330 * 0.998; 150.15 * 329.34 * 0.001
            (3, "AAA", BUY, "150.15", "340.68", "51.153102"),  # 340 * 1.002; 150.15 * 340.68 * 0.001
        ],
        nav={3: "98196.695497"},  # 150.15 * (329.34 - 340.68) = -1,702.701; less 49.450401 and 51.153102
    )


def test_split_of_a_fraction_keeps_the_value(scenario: Scenario) -> None:
    # 3 new shares for 2 old ones: 150.15 become 225.225.
    split = Bar(222, 224, price_factor=2 / 3, split_factor=2 / 3)
    played = scenario(
        Script({"AAA": [ODD, ODD, Bar(333, 333), split]}, targets={1: {"AAA": 0.5}}, broker=THOUSANDTHS),
        fills=[(2, "AAA", BUY, "150.15", "333", "0")],
        nav={2: "100000", 3: "100450.45"},  # 225.225 * (224 - 222)
        alone="it knows no corporate actions",
    )
    assert played.record.positions["AAA"].quantity == Decimal("225.225")
