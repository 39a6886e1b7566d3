"""Commission and slippage by hand."""

from decimal import Decimal

import pytest

from alphamill.domain.orders import Side
from alphamill.domain.portfolios import BrokerRef
from alphamill.errors import InvalidConfig
from alphamill.execution import FixedSlippage, PercentCommission, PercentSlippage, PerShareCommission, costs_of

D = Decimal


def test_percent_commission_is_a_part_of_the_notional() -> None:
    assert PercentCommission(5).commission_usd(D(10), D("123.45")) == D("0.617250")


def test_per_share_commission_has_a_minimum() -> None:
    model = PerShareCommission(D("0.005"), minimum_usd=D(1))
    assert model.commission_usd(D(100), D(50)) == 1
    assert model.commission_usd(D(1000), D(50)) == 5


def test_slippage_is_against_the_trader() -> None:
    assert PercentSlippage(2).fill_price(Side.BUY, D(100)) == D("100.02")
    assert PercentSlippage(2).fill_price(Side.SELL, D(100)) == D("99.98")
    assert FixedSlippage(D("0.05")).fill_price(Side.BUY, D(100)) == D("100.05")
    assert FixedSlippage(D("0.05")).fill_price(Side.SELL, D(100)) == D("99.95")


def test_fixed_slippage_never_gives_a_price_of_zero() -> None:
    assert FixedSlippage(D(1)).fill_price(Side.SELL, D("0.5")) == D("0.000001")


def test_broker_reference_names_the_models() -> None:
    assert costs_of(BrokerRef(commission_bps=7, slippage_bps=3)) == (PercentCommission(7), PercentSlippage(3))


def test_slippage_of_the_whole_price_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="slippage of 10000 bps"):
        PercentSlippage(10000)
