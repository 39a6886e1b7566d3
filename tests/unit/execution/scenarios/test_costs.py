"""Commission and slippage, to the last digit."""

from collections.abc import Callable

from alphamill.domain.orders import Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)
ROUND_TRIP = [FLAT, FLAT, Bar(102, 104), Bar(106, 105), Bar(110, 111)]
IN_AND_OUT = {1: {"AAA": 0.5}, 3: {"AAA": 0.0}}


def test_percent_commission_is_of_the_notional(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": ROUND_TRIP}, targets=IN_AND_OUT, broker={"commission_bps": 5}),
        fills=[
            (2, "AAA", BUY, "500", "102", "25.5"),  # 500 * 102 * 0.0005
            (4, "AAA", SELL, "500", "110", "27.5"),  # 500 * 110 * 0.0005
        ],
        nav={
            2: "100974.5",  # 1,000 - 25.50
            4: "103947",  # 4,000 - 25.50 - 27.50
        },
    )


def test_percent_slippage_is_of_the_open_against_the_trader(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": ROUND_TRIP}, targets=IN_AND_OUT, broker={"slippage_bps": 10}),
        fills=[
            (2, "AAA", BUY, "500", "102.102", "0"),  # 102 * 1.001
            (4, "AAA", SELL, "500", "109.89", "0"),  # 110 * 0.999
        ],
        nav={
            2: "100949",  # 500 * (104 - 102.102)
            4: "103894",  # 500 * (109.89 - 102.102)
        },
    )


def test_commission_is_of_the_price_after_slippage(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 98), Bar(95, 96), Bar(90, 90)]
    scenario(
        Script(
            {"AAA": bars},
            targets={1: {"AAA": -0.5}, 3: {"AAA": 0.0}},
            broker={"commission_bps": 10, "slippage_bps": 20},
        ),
        fills=[
            (2, "AAA", SELL, "500", "99.8", "49.9"),  # 100 * 0.998; 500 * 99.8 * 0.001
            (4, "AAA", BUY, "500", "90.18", "45.09"),  # 90 * 1.002; 500 * 90.18 * 0.001
        ],
        nav={
            2: "100850.1",  # -500 * (98 - 99.8) - 49.90 = 900 - 49.90
            4: "104715.01",  # -500 * (90.18 - 99.8) - 49.90 - 45.09 = 4,810 - 94.99
        },
    )


def test_per_share_commission_is_of_the_shares(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": ROUND_TRIP}, targets=IN_AND_OUT, broker={"commission_usd_per_share": "0.005"}),
        fills=[(2, "AAA", BUY, "500", "102", "2.5"), (4, "AAA", SELL, "500", "110", "2.5")],  # 500 * 0.005
        nav={2: "100997.5", 4: "103995"},  # 1,000 - 2.50; 4,000 - 5.00
    )


def test_per_share_commission_has_a_minimum_a_fill(scenario: Scenario) -> None:
    cheap = {"commission_usd_per_share": "0.005", "commission_min_usd": 1}
    scenario(
        Script({"AAA": ROUND_TRIP}, targets={1: {"AAA": 0.1}, 3: {"AAA": 0.0}}, broker=cheap),
        # 100 shares would pay 0.50.
        fills=[(2, "AAA", BUY, "100", "102", "1"), (4, "AAA", SELL, "100", "110", "1")],
        nav={2: "100199", 4: "100798"},  # 100 * (104 - 102) - 1; 100 * (110 - 102) - 2
    )


def test_percent_and_per_share_commission_add_up(scenario: Scenario) -> None:
    both = {"commission_usd_per_share": "0.005", "commission_bps": 5}
    scenario(
        Script({"AAA": ROUND_TRIP}, targets=IN_AND_OUT, broker=both),
        fills=[(2, "AAA", BUY, "500", "102", "28"), (4, "AAA", SELL, "500", "110", "30")],  # 25.50, 27.50, each + 2.50
        nav={4: "103942"},  # 4,000 - 58
        alone="it charges per share or per notional, not both",
    )


def test_fixed_slippage_is_so_much_a_share_against_the_trader(scenario: Scenario) -> None:
    scenario(
        Script({"AAA": ROUND_TRIP}, targets=IN_AND_OUT, broker={"slippage_usd_per_share": "0.03"}),
        fills=[(2, "AAA", BUY, "500", "102.03", "0"), (4, "AAA", SELL, "500", "109.97", "0")],
        nav={2: "100985", 4: "103970"},  # 500 * (104 - 102.03); 500 * (109.97 - 102.03)
    )


def test_fixed_slippage_and_per_share_commission_of_a_short(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 98), Bar(95, 96), Bar(90, 90)]
    scenario(
        Script(
            {"AAA": bars},
            targets={1: {"AAA": -0.5}, 3: {"AAA": 0.0}},
            broker={"commission_usd_per_share": "0.01", "slippage_usd_per_share": "0.05"},
        ),
        fills=[(2, "AAA", SELL, "500", "99.95", "5"), (4, "AAA", BUY, "500", "90.05", "5")],
        nav={2: "100970", 4: "104940"},  # -500 * (98 - 99.95) - 5; -500 * (90.05 - 99.95) - 10
    )


def test_flip_pays_commission_on_both_parts(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 100), Bar(100, 100)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.5}, 2: {"AAA": -0.5}}, broker={"commission_bps": 10}),
        # The value at bar 2 is 99,950; -0.5 * 99,950 / 100 = -499.75, toward zero -499: 999 shares are sold.
        fills=[(2, "AAA", BUY, "500", "100", "50"), (3, "AAA", SELL, "999", "100", "99.9")],
        nav={2: "99950", 3: "99850.1"},
    )


def test_cash_account_buys_what_its_cash_pays_for_at_the_open(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(110, 110)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.95}}, broker={"commission_bps": 10, "margin": False}),
        # 950 shares were decided at 100. At 110 each costs 110.11 with commission: 100,000 / 110.11 = 908.18.
        fills=[(2, "AAA", BUY, "908", "110", "99.88")],  # 908 * 110 * 0.001
        nav={2: "99900.12"},
    )
    assert [(order.quantity, order.filled_quantity, order.status) for order in played.orders] == [
        (950, 908, "cancelled")
    ]


def test_flip_is_one_fill_and_pays_one_minimum(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 100), Bar(100, 100)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.1}, 2: {"AAA": -0.1}}, broker={"commission_min_usd": 3}),
        # The value at bar 2 is 99,997: -99.997, toward zero -99: 199 shares are sold.
        fills=[(2, "AAA", BUY, "100", "100", "3"), (3, "AAA", SELL, "199", "100", "3")],
        nav={2: "99997", 3: "99994"},
        alone="it takes the minimum of a flip twice from the cash, for the part that closes and the part that opens",
    )
