"""A volume cap: so much of an order fills in a session, the rest at the next opens, until the next decision."""

from collections.abc import Callable

from alphamill.domain.orders import OrderStatus, Side
from alphamill.testing.script import Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

CAP = {"max_participation_pct": 10}
#: No scheduled decision comes between.
QUIET = 100


def thin(open_: float, close: float, volume: float = 1500) -> Bar:
    """10 % of it are 150 shares."""
    return Bar(open_, close, volume=volume)


FLAT = thin(100, 100)


def test_order_above_the_cap_fills_on_at_the_next_opens(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, thin(100, 101), thin(102, 103), thin(104, 105), thin(106, 107)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.4}}, broker=CAP, every_bars=QUIET),
        # 400 shares: 150, 150 and the last 100, each at the open of its session.
        fills=[
            (2, "AAA", BUY, "150", "100", "0"),
            (3, "AAA", BUY, "150", "102", "0"),
            (4, "AAA", BUY, "100", "104", "0"),
        ],
        nav={
            2: "100150",  # 150 * (101 - 100)
            3: "100600",  # 150 * (103 - 100) + 150 * (103 - 102)
            4: "101300",  # 150 * (105 - 100) + 150 * (105 - 102) + 100 * (105 - 104)
            5: "102100",  # 400 * 2 more
        },
    )
    assert [(order.status, order.filled_quantity) for order in played.orders] == [(OrderStatus.FILLED, 400)]
    # (150 * 100 + 150 * 102 + 100 * 104) / 400 = 40,700 / 400
    assert played.record.positions["AAA"].average_price == 101.75


def test_sale_above_the_cap_pays_its_minimum_commission_for_every_part(scenario: Scenario) -> None:
    deep, calm = thin(100, 100, volume=1e6), thin(100, 100, volume=1e6)
    bars = [calm, calm, deep, deep, thin(110, 110), thin(108, 108), thin(106, 106)]
    scenario(
        Script(
            {"AAA": bars},
            targets={1: {"AAA": 0.4}, 3: {"AAA": 0}},
            broker={**CAP, "commission_usd_per_share": "0.005", "commission_min_usd": 1},
            every_bars=QUIET,
        ),
        fills=[
            (2, "AAA", BUY, "400", "100", "2"),  # 400 * 0.005
            (4, "AAA", SELL, "150", "110", "1"),  # 0.75 is below the minimum of 1
            (5, "AAA", SELL, "150", "108", "1"),
            (6, "AAA", SELL, "100", "106", "1"),
        ],
        nav={6: "103295"},  # 150 * 10 + 150 * 8 + 100 * 6 - 5
    )


def test_session_without_volume_fills_nothing_and_the_order_waits(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, thin(100, 101), thin(102, 103, volume=0), thin(104, 105)]
    scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.3}}, broker=CAP, every_bars=QUIET),
        fills=[(2, "AAA", BUY, "150", "100", "0"), (4, "AAA", BUY, "150", "104", "0")],
        nav={3: "100450", 4: "100900"},  # 150 * (103 - 100); 150 * (105 - 100) + 150 * (105 - 104)
    )


def test_new_target_replaces_what_is_left_of_an_order(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, FLAT, FLAT, FLAT]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.4}, 2: {"AAA": 0.2}}, broker=CAP, every_bars=QUIET),
        # 150 of 400 are held when 200 are wanted: the 250 left are cancelled, 50 are ordered.
        fills=[(2, "AAA", BUY, "150", "100", "0"), (3, "AAA", BUY, "50", "100", "0")],
        nav={4: "100000"},
    )
    assert [(order.status, order.filled_quantity) for order in played.orders] == [
        (OrderStatus.CANCELLED, 150),
        (OrderStatus.FILLED, 50),
    ]


def test_split_between_two_parts_restates_what_is_left(scenario: Scenario) -> None:
    split = Bar(51, 52, volume=3000, price_factor=0.5, split_factor=0.5)
    bars = [FLAT, FLAT, thin(100, 102), split, thin(53, 54, volume=3000)]
    played = scenario(
        Script({"AAA": bars}, targets={1: {"AAA": 0.4}}, broker=CAP, every_bars=QUIET),
        # 150 of 400 are held, 250 are left; after the split 300 and 500, of which 300 and 200 fill.
        fills=[
            (2, "AAA", BUY, "150", "100", "0"),
            (3, "AAA", BUY, "300", "51", "0"),
            (4, "AAA", BUY, "200", "53", "0"),
        ],
        nav={
            2: "100300",  # 150 * (102 - 100)
            3: "100900",  # 300 * (52 - 50) + 300 * (52 - 51)
            4: "102300",  # 300 * (54 - 50) + 300 * (54 - 51) + 200 * (54 - 53)
        },
        alone="it knows no corporate actions",
    )
    assert played.record.positions["AAA"].quantity == 800


def test_scheduled_decision_ends_what_is_left_of_an_order(scenario: Scenario) -> None:
    played = scenario(
        Script({"AAA": [FLAT] * 5}, targets={1: {"AAA": 0.4}}, broker=CAP, every_bars=1),
        # The decision at the close of bar 2 has no forecast: it holds the 150 shares there are.
        fills=[(2, "AAA", BUY, "150", "100", "0")],
        nav={4: "100000"},
        alone="its orders stay until they are filled",
    )
    assert [(order.status, order.filled_quantity) for order in played.orders] == [(OrderStatus.CANCELLED, 150)]


def test_cap_is_of_each_symbol_and_in_whole_shares(scenario: Scenario) -> None:
    odd = thin(100, 100, volume=1234)
    scenario(
        Script(
            {"AAA": [odd] * 4, "BBB": [odd] * 4}, targets={1: {"AAA": 0.2, "BBB": 0.2}}, broker=CAP, every_bars=QUIET
        ),
        # 10 % of 1,234 are 123.4: 123 shares of each, then the 77 left.
        fills=[
            (2, "AAA", BUY, "123", "100", "0"),
            (2, "BBB", BUY, "123", "100", "0"),
            (3, "AAA", BUY, "77", "100", "0"),
            (3, "BBB", BUY, "77", "100", "0"),
        ],
        nav={3: "100000"},
        alone="it fills 123.4 shares, also where it trades whole ones",
    )
