"""A symbol stops trading: who holds it is paid in cash in the first session after its last one."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

from alphamill.domain.orders import Side
from alphamill.testing.script import FIRST_SESSION, Bar, Played, Script

BUY, SELL = Side.BUY, Side.SELL
Scenario = Callable[..., Played]

FLAT = Bar(100, 100)
OTHER = [FLAT] * 6
UNKNOWN = "it knows no delisting and keeps the position at its last close for ever"


def delisted(after_bar: int, paid_usd: int | None) -> dict[str, object]:
    """AAA trades for the last time in that bar; None pays its close."""
    last = FIRST_SESSION + dt.timedelta(days=after_bar)  # a Monday, and fewer than five bars
    return {"delistings": {"AAA": {"last_session": last, "cash_per_share_usd": paid_usd}}}


def test_delisted_long_is_paid_its_last_close(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 90), Bar(85, 80)]
    played = scenario(
        Script(
            {"AAA": bars, "BBB": OTHER},
            targets={1: {"AAA": 0.5}},
            broker={"commission_bps": 10},
            universe=delisted(3, None),
        ),
        fills=[(2, "AAA", BUY, "500", "100", "50")],
        # 50,000 - 50 in cash and 500 * 80 on paper; from bar 4 on all of it in cash, without a commission.
        nav={3: "89950", 4: "89950", 5: "89950"},
    )
    assert (played.record.cash_usd, dict(played.record.positions)) == (Decimal(89_950), {})


def test_delisted_long_is_paid_the_price_of_the_offer(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 110), Bar(112, 118)]
    played = scenario(
        Script({"AAA": bars, "BBB": OTHER}, targets={1: {"AAA": 0.5}}, universe=delisted(3, 120)),
        fills=[(2, "AAA", BUY, "500", "100", "0")],
        nav={3: "109000", 4: "110000", 5: "110000"},  # 500 * (118 - 100); 500 * (120 - 100)
        alone=UNKNOWN,
    )
    assert played.record.cash_usd == 110_000


def test_delisted_short_pays(scenario: Scenario) -> None:
    bars = [FLAT, FLAT, Bar(100, 40), Bar(30, 20)]
    played = scenario(
        Script({"AAA": bars, "BBB": OTHER}, targets={1: {"AAA": -0.5}}, universe=delisted(3, 25)),
        fills=[(2, "AAA", SELL, "500", "100", "0")],
        nav={3: "140000", 4: "137500"},  # -500 * (20 - 100); -500 * (25 - 100)
        alone=UNKNOWN,
    )
    assert played.record.cash_usd == 137_500


def test_order_of_the_last_close_of_a_delisted_symbol_never_fills(scenario: Scenario) -> None:
    bars = [FLAT, FLAT]
    scenario(
        Script({"AAA": bars, "BBB": OTHER}, targets={1: {"AAA": 0.5}}, universe=delisted(1, None)),
        fills=[],
        nav={5: "100000"},
    )
