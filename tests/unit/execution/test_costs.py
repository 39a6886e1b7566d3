"""Commission and slippage by hand."""

from decimal import Decimal

import pytest

from alphamill.domain.orders import Side
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import InvalidConfig
from alphamill.execution import Commission, Slippage, costs_of

D = Decimal


def test_percent_commission_is_a_part_of_the_notional() -> None:
    # 10 * 123.45 = 1,234.50; 5 bps of it = 0.61725
    assert Commission(bps=5).commission_usd(D(10), D("123.45")) == D("0.617250")


def test_per_share_commission_has_a_minimum_per_fill() -> None:
    model = Commission(usd_per_share=D("0.005"), minimum_usd=D(1))
    assert model.commission_usd(D(100), D(50)) == 1  # 100 * 0.005 = 0.50, under the minimum
    assert model.commission_usd(D(1000), D(50)) == 5  # 1,000 * 0.005
    assert model.commission_usd(D("0.5"), D(50)) == 1


def test_percent_and_per_share_commission_add_up_before_the_minimum_is_applied() -> None:
    model = Commission(bps=10, usd_per_share=D("0.02"), minimum_usd=D("2.50"))
    # 40 * 25 = 1,000; 10 bps = 1.00; 40 * 0.02 = 0.80; together 1.80, under 2.50
    assert model.commission_usd(D(40), D(25)) == D("2.5")
    # 100 * 25 = 2,500; 10 bps = 2.50; 100 * 0.02 = 2.00; together 4.50
    assert model.commission_usd(D(100), D(25)) == D("4.5")


def test_slippage_is_against_the_trader() -> None:
    assert Slippage(bps=2).fill_price(Side.BUY, D(100)) == D("100.02")
    assert Slippage(bps=2).fill_price(Side.SELL, D(100)) == D("99.98")
    assert Slippage(usd_per_share=D("0.05")).fill_price(Side.BUY, D(100)) == D("100.05")
    assert Slippage(usd_per_share=D("0.05")).fill_price(Side.SELL, D(100)) == D("99.95")


def test_percent_and_fixed_slippage_add_up() -> None:
    # 10 bps of 50 = 0.05, and 0.02 a share
    assert Slippage(10, D("0.02")).fill_price(Side.BUY, D(50)) == D("50.07")
    assert Slippage(10, D("0.02")).fill_price(Side.SELL, D(50)) == D("49.93")


def test_fixed_slippage_never_gives_a_price_of_zero() -> None:
    assert Slippage(usd_per_share=D(1)).fill_price(Side.SELL, D("0.5")) == D("0.000001")


def test_broker_reference_names_the_models() -> None:
    ref = BrokerRef(
        commission_bps=7,
        commission_usd_per_share=D("0.01"),
        commission_min_usd=D(1),
        slippage_bps=3,
        slippage_usd_per_share=D("0.02"),
    )
    assert costs_of(ref) == (Commission(7, D("0.01"), D(1)), Slippage(3, D("0.02")))


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Slippage(bps=10_000), "slippage_bps"),
        (lambda: Slippage(bps=-1), "slippage_bps"),
        (lambda: Slippage(usd_per_share=D("-0.01")), "slippage_usd_per_share"),
        (lambda: Commission(bps=float("nan")), "commission_bps"),
        (lambda: Commission(usd_per_share=D("NaN")), "commission_usd_per_share"),
        (lambda: Commission(minimum_usd=D(-1)), "commission_min_usd"),
    ],
)
def test_absurd_cost_is_refused_by_name_with_the_remedy(build, field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        build()
    assert refused.value.field == field
    assert refused.value.remedy
