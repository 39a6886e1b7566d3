"""Stops are judged at the close against the average price and trade at the next open, whatever it is."""

from collections.abc import Callable

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)
LONG, SHORT = {1: {"AAA": 0.5}}, {1: {"AAA": -0.5}}
STOP = {"stop_loss_pct": 10}


def test_stop_loss_of_a_long_sells_at_the_open_after_the_close_that_hit_it(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 99), Bar(95, 89), Bar(88, 95), FLAT]
    played = scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        # Bought at 100: the stop is at 90. Bar 3 closes at 89; the open after it is 88.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "88", "0")],
        nav={3: "94500", 4: "94000", 5: "94000"},  # 500 * (89 - 100), then 500 * (88 - 100) for good
    )
    spoke = [result.code for decision in played.decisions for result in decision.rules if result.code != "OK"]
    assert spoke == ["STOP_LOSS"]


def test_stop_loss_of_a_short_buys_at_the_open_after_the_close_that_hit_it(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 101), Bar(105, 111), Bar(112, 105), FLAT]
    scenario(
        Script({"AAA": bars}, targets=SHORT, risk=STOP),
        # Sold at 100: the stop is at 110. Bar 3 closes at 111; the open after it is 112.
        fills=[(2, "AAA", SELL, "500", "100", "0"), (4, "AAA", BUY, "500", "112", "0")],
        nav={3: "94500", 4: "94000", 5: "94000"},
    )


def test_gap_through_a_stop_fills_at_the_open_beyond_it(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 99), Bar(70, 72), Bar(60, 65), FLAT]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        # The stop is at 90. Bar 3 opens at 70 and closes at 72: judged at that close, sold at 60. No fill at 90.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "60", "0")],
        nav={3: "86000", 4: "80000"},  # 500 * (72 - 100); 500 * (60 - 100)
    )


def test_gap_back_before_the_stop_still_sells(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 99), Bar(95, 85), Bar(97, 98)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "97", "0")],
        nav={4: "98500"},  # 500 * (97 - 100): the next open was kinder than the close
    )


def test_stop_is_hit_at_its_level_exactly(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 99), Bar(95, 90), Bar(91, 92)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "91", "0")],  # 90 is 10 % below 100
        nav={4: "95500"},
    )


def test_low_below_the_stop_is_nothing_while_the_close_stays_above(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(95, 95, low=50), Bar(96, 97)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={3: "97500", 4: "98500"},
        alone="its stop looks at the low of the bar",
    )


def test_stop_is_judged_at_the_close_of_the_bar_of_the_entry(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 85), Bar(84, 84)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (3, "AAA", SELL, "500", "84", "0")],
        nav={2: "92500", 3: "92000"},
        alone="it judges a position from the bar after its entry on",
    )


def test_stop_is_from_the_average_of_two_entries(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 125), Bar(125, 120), Bar(105, 101), Bar(100, 100)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.4}, 2: {"AAA": 0.8}}, risk=STOP),
        # Bar 1: 400 shares at 100. Bar 2: the value is 110,000; 0.8 * 110,000 / 125 = 704: 304 more at 125.
        # Average (400 * 100 + 304 * 125) / 704 = 110.795...; 10 % below it is 99.715...: 101 and 100 do not reach it.
        fills=[(2, "AAA", BUY, "400", "100", "0"), (3, "AAA", BUY, "304", "125", "0")],
        nav={4: "93104", 5: "92400"},  # 704 * 101 - 78,000 = -6,896; 704 * 100 - 78,000 = -7,600
    )


def test_stop_is_judged_between_scheduled_decisions(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 99), Bar(95, 89), Bar(88, 95), FLAT]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=STOP, every_bars=100),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "88", "0")],
        nav={4: "94000"},
    )
