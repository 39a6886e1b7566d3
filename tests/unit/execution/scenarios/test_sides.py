"""Long, short, flip: what is decided at a close trades at the next open, and the rest is arithmetic."""

from collections.abc import Callable

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)


def test_long_earns_the_rise_from_open_to_open(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(102, 104), Bar(106, 105), Bar(110, 111)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}, 3: {"AAA": 0}}),
        # Bar 1: 0.5 * 100,000 / 100 = 500 shares, bought at the open of bar 2. Bar 3: all sold at the open of bar 4.
        fills=[(2, "AAA", BUY, "500", "102", "0"), (4, "AAA", SELL, "500", "110", "0")],
        nav={
            1: "100000",
            2: "101000",  # 500 * (104 - 102) = 1,000
            3: "101500",  # 500 * (105 - 102) = 1,500
            4: "104000",  # 500 * (110 - 102) = 4,000
        },
    )


def test_short_earns_the_fall_from_open_to_open(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(98, 97), Bar(95, 96), Bar(90, 80)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": -0.5}, 3: {"AAA": 0}}),
        # -0.5 * 100,000 / 100 = -500 shares.
        fills=[(2, "AAA", SELL, "500", "98", "0"), (4, "AAA", BUY, "500", "90", "0")],
        nav={
            2: "100500",  # -500 * (97 - 98) = 500
            3: "101000",  # -500 * (96 - 98) = 1,000
            4: "104000",  # -500 * (90 - 98) = 4,000; the close of 80 earns nothing more
        },
    )


def test_flip_is_one_order_through_zero(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 110), Bar(108, 100), Bar(95, 90)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}, 2: {"AAA": -0.55}}),
        # Bar 1: 500 shares. Bar 2: the value is 100,000 + 500 * 10 = 105,000; -0.55 * 105,000 / 110 = -525 shares,
        # so 500 + 525 = 1,025 are sold at the open of bar 3.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (3, "AAA", SELL, "1025", "108", "0")],
        nav={
            2: "105000",
            3: "108200",  # 500 * (108 - 100) = 4,000; -525 * (100 - 108) = 4,200
            4: "113450",  # 4,000 - 525 * (90 - 108) = 4,000 + 9,450
        },
    )
    position = played.record.positions["AAA"]
    assert (position.quantity, position.average_price) == (-525, 108)  # the average starts again past zero


def test_long_and_short_side_by_side_fill_sales_first(scenario: Scenario) -> None:
    bars = {"AAA": [FLAT, FLAT, Bar(101, 105)], "BBB": [Bar(50, 50), Bar(50, 50), Bar(49, 45)]}
    scenario(
        Script(bars, targets={1: {"AAA": 0.4, "BBB": -0.4}}),
        # 0.4 * 100,000 / 100 = 400 shares; -0.4 * 100,000 / 50 = -800 shares.
        fills=[(2, "BBB", SELL, "800", "49", "0"), (2, "AAA", BUY, "400", "101", "0")],
        nav={2: "104800"},  # 400 * (105 - 101) = 1,600; -800 * (45 - 49) = 3,200
    )


def test_a_target_that_stands_trades_nothing(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": [FLAT] * 4}, targets={1: {"AAA": 0.5}, 2: {"AAA": 0.5}}),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={3: "100000"},
    )


def test_order_is_for_one_open_only(scenario: Scenario) -> None:
    gap = [FLAT, FLAT, None, Bar(103, 104)]
    scenario(
        Script({"AAA": gap, "BBB": [FLAT] * 4}, targets={1: {"AAA": 0.5}}),
        fills=[],
        nav={2: "100000", 3: "100000"},
        alone="its orders wait until the symbol trades again; ours are for the next open or cancelled",
    )
