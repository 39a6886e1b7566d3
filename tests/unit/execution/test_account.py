"""Cash and positions after fills and corporate actions, each against a number computed by hand."""

from decimal import Decimal

import pytest

from alphamill.domain.orders import Position
from alphamill.errors import DataUnfit, InvalidInput
from alphamill.execution import Account
from alphamill.testing.orders import fill_of

D = Decimal


def after(*fills, cash="10000") -> Account:
    account = Account(D(cash))
    for fill in fills:
        account = account.apply(fill)
    return account


def holding(quantity: str, average: str, cash: str = "0") -> Account:
    return Account(D(cash), {"X": Position("X", D(quantity), D(average))})


def test_buying_twice_averages_the_price_and_pays_commission() -> None:
    account = after(fill_of("X", 10, "100", commission="1"), fill_of("X", 30, "120", commission="1.5"))
    assert account.positions["X"] == Position("X", D(40), D(115))
    assert account.cash_usd == D(10000) - 1000 - 1 - 3600 - D("1.5")


def test_selling_a_part_keeps_the_average_price() -> None:
    account = after(fill_of("X", 10, "100"), fill_of("X", -4, "130"))
    assert account.positions["X"] == Position("X", D(6), D(100))
    assert account.cash_usd == D(9520)


def test_a_closed_position_is_gone() -> None:
    assert after(fill_of("X", 10, "100"), fill_of("X", -10, "90")) == Account(D(9900), {})


def test_short_position_earns_when_the_price_falls() -> None:
    account = after(fill_of("X", -10, "100"), fill_of("X", -10, "90"))
    assert account.positions["X"] == Position("X", D(-20), D(95))
    assert account.nav({"X": D(80)}) == D(10000) + 1900 - 1600


def test_flip_through_zero_starts_a_new_average_price() -> None:
    account = after(fill_of("X", 10, "100"), fill_of("X", -15, "120"))
    assert account.positions["X"] == Position("X", D(-5), D(120))
    assert after(fill_of("X", -10, "100"), fill_of("X", 25, "80")).positions["X"] == Position("X", D(15), D(80))


def test_nav_without_a_price_names_the_symbol() -> None:
    with pytest.raises(DataUnfit, match="X is held but has no price"):
        holding("1", "5").nav({"Y": D(1)})


def test_split_doubles_shares_and_leaves_value_and_cash() -> None:
    account = holding("15", "90.50", cash="7").apply_action("X", 0.5, 0.5, D(100))
    assert account == Account(D(7), {"X": Position("X", D(30), D("45.25"))})


@pytest.mark.parametrize("factor", [1 / 3, 0.3333333333333333, 2 / 3, 1 / 7, 20 / 21])
def test_split_factor_is_read_as_a_ratio_of_whole_numbers(factor: float) -> None:
    quantity = 1 / D(str(factor)) * 2100
    assert holding("2100", "10").apply_action("X", factor, factor, D(10)).positions["X"].quantity == round(quantity)


def test_reverse_split_pays_the_fraction_in_cash_at_the_adjusted_price() -> None:
    account = holding("25", "2").apply_action("X", 10.0, 10.0, D("3"))
    assert account.positions["X"] == Position("X", D(2), D(20))
    assert account.cash_usd == D("0.5") * 30
    assert account.nav({"X": D(30)}) == 25 * 3


def test_reverse_split_of_too_few_shares_leaves_cash_only() -> None:
    assert holding("4", "2").apply_action("X", 10.0, 10.0, D("3")) == Account(D(12), {})


def test_a_fractional_position_is_split_to_the_step_and_the_rest_is_paid() -> None:
    assert holding("1.5", "30").apply_action("X", 0.5, 0.5, D(30), D("0.1")).positions["X"].quantity == 3
    account = holding("0.5", "30").apply_action("X", 2.0, 2.0, D(30), D("0.1"))
    # 0.5 / 2 = 0.25, of which 0.2 can be held; 0.05 are paid at 30 * 2 = 60.
    assert account == Account(D(3), {"X": Position("X", D("0.2"), D(60))})
    assert account.nav({"X": D(60)}) == D("0.5") * 30


def test_a_short_pays_for_the_fraction_that_a_split_leaves() -> None:
    account = holding("-25", "2", cash="100").apply_action("X", 10.0, 10.0, D("3"))
    # -25 / 10 = -2.5: -2 stay, half a share is bought back at 3 * 10 = 30.
    assert account == Account(D(85), {"X": Position("X", D(-2), D(20))})


def test_a_position_off_the_step_comes_back_to_it_in_a_split() -> None:
    account = holding("1.25", "30").apply_action("X", 0.5, 0.5, D(30))
    # 2.5 new shares, of which 2 are whole; half a share at 15.
    assert account == Account(D("7.5"), {"X": Position("X", D(2), D(15))})


def test_dividend_is_paid_to_longs_and_by_shorts() -> None:
    assert holding("10", "50").apply_action("X", 0.98, 1.0, D(50)).cash_usd == D(10)
    assert holding("-10", "50").apply_action("X", 0.98, 1.0, D(50)).cash_usd == D(-10)


def test_split_and_dividend_on_one_day_are_told_apart() -> None:
    account = holding("10", "50").apply_action("X", 0.49, 0.5, D(50))
    assert account.positions["X"] == Position("X", D(20), D(25))
    assert account.cash_usd == D(10)


def test_action_on_a_symbol_not_held_changes_nothing() -> None:
    account = holding("10", "50")
    assert account.apply_action("Y", 0.5, 0.5, D(1)) is account


def test_float_noise_is_no_dividend() -> None:
    assert holding("1000000", "50").apply_action("X", 0.5000000000000001, 0.5, D(50)).cash_usd == 0


@pytest.mark.parametrize("factors", [(0.0, 1.0), (float("nan"), 1.0), (1.0, -1.0), (1.0, float("inf"))])
def test_impossible_factor_is_refused(factors: tuple[float, float]) -> None:
    with pytest.raises(InvalidInput, match="is not above zero"):
        holding("1", "1").apply_action("X", *factors, D(1))


def test_factor_that_raises_earlier_prices_is_no_dividend() -> None:
    with pytest.raises(DataUnfit, match="above one"):
        holding("1", "1").apply_action("X", 1.5, 1.0, D(1))


def marked(quantity: str, average: str, *closes: str) -> Account:
    account = holding(quantity, average)
    for close in closes:
        account = account.marked({"X": D(close)})
    return account


@pytest.mark.parametrize(("quantity", "best"), [("10", "107"), ("-10", "96")])
def test_the_most_favourable_close_is_the_highest_of_a_long_and_the_lowest_of_a_short(quantity: str, best: str) -> None:
    assert marked(quantity, "100", "103", "107", "96", "101").positions["X"].extreme_price == D(best)


@pytest.mark.parametrize(("quantity", "close"), [("10", "95"), ("-10", "105")])
def test_a_position_that_lost_from_the_start_counts_from_its_average_price(quantity: str, close: str) -> None:
    assert marked(quantity, "100", close).positions["X"].extreme_price == D(100)


def test_the_most_favourable_close_outlives_adds_and_reductions_and_not_a_flip() -> None:
    account = marked("10", "100", "120")
    added = account.apply(fill_of("X", 10, "110")).positions["X"]
    assert added == Position("X", D(20), D(105), D(120))
    assert account.apply(fill_of("X", -4, "110")).positions["X"] == Position("X", D(6), D(100), D(120))
    assert account.apply(fill_of("X", -15, "110")).positions["X"] == Position("X", D(-5), D(110))
    closed = account.apply(fill_of("X", -10, "110"))
    assert closed.apply(fill_of("X", 10, "90")).positions["X"] == Position("X", D(10), D(90))


def test_a_split_and_a_dividend_move_the_most_favourable_close_like_the_price() -> None:
    """2:1 from a best close of 120: 60. A dividend of 1 on a close of 100 has the factor 0.99: 118.80."""
    split = marked("10", "100", "120").apply_action("X", 0.5, 0.5, D(110))
    assert split.positions["X"] == Position("X", D(20), D(50), D(60))
    paid = marked("10", "100", "120").apply_action("X", 0.99, 1.0, D(100))
    assert paid.positions["X"] == Position("X", D(10), D(100), D("118.80"))
    assert paid.cash_usd == D(10)
    both = marked("-10", "100", "80").apply_action("X", 0.495, 0.5, D(100))
    assert both.positions["X"] == Position("X", D(-20), D(50), D("39.60"))


def test_a_symbol_without_a_price_keeps_its_mark() -> None:
    assert marked("10", "100", "120").marked({}) == marked("10", "100", "120")
