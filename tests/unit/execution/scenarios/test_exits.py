"""Take-profit and trailing stop: judged at the close, traded at the next open, as the stop-loss."""

from collections.abc import Callable

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)
LONG, SHORT = {1: {"AAA": 0.5}}, {1: {"AAA": -0.5}}
PROFIT, TRAIL = {"take_profit_pct": 10}, {"trailing_stop_pct": 10}


def spoken(played: Played) -> list[str]:
    return [result.code for decision in played.decisions for result in decision.rules if result.code != "OK"]


def test_take_profit_of_a_long_sells_at_the_open_after_the_close_that_reached_it(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 105), Bar(107, 112), Bar(111, 130), FLAT]
    played = scenario(
        Script({"AAA": bars}, targets=LONG, risk=PROFIT),
        # Bought at 100: the target is 110. Bar 3 closes at 112; the open after it is 111.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "111", "0")],
        nav={3: "106000", 4: "105500", 5: "105500"},  # 500 * (112 - 100); 500 * (111 - 100) for good
    )
    assert spoken(played) == ["TAKE_PROFIT"]


def test_take_profit_of_a_short_buys_at_the_open_after_the_close_that_reached_it(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 95), Bar(94, 90), Bar(92, 80)]
    scenario(
        Script({"AAA": bars}, targets=SHORT, risk=PROFIT),
        # Sold at 100: the target is 90, reached exactly.
        fills=[(2, "AAA", SELL, "500", "100", "0"), (4, "AAA", BUY, "500", "92", "0")],
        nav={3: "105000", 4: "104000"},  # -500 * (90 - 100); -500 * (92 - 100)
    )


def test_gap_beyond_a_take_profit_fills_at_the_open(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(109, 111), Bar(150, 150)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=PROFIT),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "150", "0")],
        nav={4: "125000"},  # 500 * (150 - 100): the open was better than the target
    )


def test_trailing_stop_of_a_long_follows_the_best_close(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 110), Bar(112, 120), Bar(118, 115), Bar(112, 108), Bar(107, 140)]
    played = scenario(
        Script({"AAA": bars}, targets=LONG, risk=TRAIL),
        # The best close is 120: the stop is at 108. Bar 4 closes at 115, bar 5 at 108: sold at 107, 7 above the entry.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (6, "AAA", SELL, "500", "107", "0")],
        nav={3: "110000", 4: "107500", 5: "104000", 6: "103500"},
    )
    assert spoken(played) == ["TRAILING_STOP"]


def test_trailing_stop_of_a_short_follows_the_best_close(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 90), Bar(88, 80), Bar(82, 85), Bar(86, 89), Bar(90, 60)]
    scenario(
        Script({"AAA": bars}, targets=SHORT, risk=TRAIL),
        # The best close is 80: the stop is at 88. Bar 5 closes at 89; the open after it is 90.
        fills=[(2, "AAA", SELL, "500", "100", "0"), (6, "AAA", BUY, "500", "90", "0")],
        nav={3: "110000", 5: "105500", 6: "105000"},  # -500 * (80, 89, 90 - 100)
    )


def test_trailing_stop_starts_at_the_entry_price(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 96), Bar(95, 90), Bar(85, 88)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=TRAIL),
        # No close was above the entry at 100: the stop is at 90, as a stop-loss of 10 % would be.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "85", "0")],
        nav={4: "92500"},
    )


def test_highs_between_closes_do_not_raise_a_trailing_stop(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 104), Bar(104, 104, high=140), Bar(104, 98), Bar(98, 99)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=TRAIL),
        # The best close is 104, the stop 93.6. From the high of 140 it would have been 126.
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={5: "99500"},
    )


def test_split_does_not_trip_a_trailing_stop(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 120), Bar(60, 58, price_factor=0.5, split_factor=0.5), Bar(56, 54), Bar(53, 53)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=TRAIL),
        # The best close of 120 is 60 after the split, the stop 54: bar 4 reaches it.
        fills=[(2, "AAA", BUY, "500", "100", "0"), (5, "AAA", SELL, "1000", "53", "0")],
        nav={3: "108000", 4: "104000", 5: "103000"},  # 1,000 * (58, 54, 53 - 50)
        alone="it knows no corporate actions",
    )


def test_dividend_does_not_trip_a_trailing_stop(scenario: Scenario) -> None:
    # 20 USD on a close of 120: price factor 5/6. The stop is at 90 % of 120 * 5/6 = 100, so at 90.
    bars = [FLAT, FLAT, Bar(100, 120), Bar(100, 95, price_factor=100 / 120), Bar(95, 91)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=TRAIL),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={3: "107500", 4: "105500"},  # 500 * (95 - 100) + 500 * 20; 500 * (91 - 100) + 500 * 20
        alone="it pays no dividends",
    )


def test_stop_loss_and_take_profit_live_side_by_side(scenario: Scenario) -> None:
    up = [FLAT, FLAT, FLAT, Bar(104, 111), Bar(109, 109)]
    down = [FLAT, FLAT, FLAT, Bar(96, 90), Bar(91, 91)]
    scenario(
        Script(
            {"AAA": up, "BBB": down},
            targets={1: {"AAA": 0.4, "BBB": 0.4}},
            risk={"stop_loss_pct": 10, **PROFIT},
            broker={"commission_bps": 10},
        ),
        fills=[
            (2, "AAA", BUY, "400", "100", "40"),
            (2, "BBB", BUY, "400", "100", "40"),
            (4, "AAA", SELL, "400", "109", "43.6"),
            (4, "BBB", SELL, "400", "91", "36.4"),
        ],
        nav={4: "99840"},  # 400 * 9 - 400 * 9 - 40 - 40 - 43.60 - 36.40
    )


def test_level_is_exact_where_a_float_is_not(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, Bar(104, 110), Bar(109, 109)]
    scenario(
        Script({"AAA": bars}, targets=LONG, risk=PROFIT),
        fills=[(2, "AAA", BUY, "500", "100", "0"), (4, "AAA", SELL, "500", "109", "0")],
        nav={4: "104500"},
        alone="as floats, 100 * (1 + 0.1) is 110.00000000000001, which a close of 110 does not reach",
    )
