"""Whole shares: sized toward zero, in the direction of the target only."""

from collections.abc import Callable

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
