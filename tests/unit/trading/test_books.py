"""What a portfolio's state forbids of orders that are at the broker already."""

import datetime as dt
from decimal import Decimal

import pytest

from alphamill.adapters.memory.ledger import InMemoryLedger
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, OrderStatus, Position, Side, order_id
from alphamill.domain.portfolios import PortfolioSpec, Universe
from alphamill.risk import RiskContext
from alphamill.risk.order_rules import StateAllows
from alphamill.trading.books import forbids

AT = dt.datetime(2024, 1, 2, 21, tzinfo=dt.UTC)
SPEC = PortfolioSpec(name="demo", universe=Universe(symbols=("A",)))


def _reducing(held: int) -> PortfolioRecord:
    ledger = InMemoryLedger()
    ledger.register(SPEC, AT)
    ledger.set_state("demo", TradingState.REDUCING, "drill", AT)
    record = ledger.record(SPEC.name)
    record.positions.update({"A": Position("A", Decimal(held), Decimal(100))} if held else {})
    return record


def _order(side: Side, quantity: int, filled: int = 0) -> Order:
    id_ = order_id("demo", AT, "A", side, Decimal(quantity))
    order = Order(id_, "demo", AT, "A", side, Decimal(quantity), Decimal(100), "test")
    return order.after(status=OrderStatus.ACCEPTED, filled_quantity=Decimal(filled))


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("quantity", [1, 10, 11, 15, 20, 21])
@pytest.mark.parametrize("held", [-10, 0, 10])
def test_reducing_recalls_what_it_would_not_send(held: int, quantity: int, side: Side) -> None:
    record, order = _reducing(held), _order(side, quantity)
    cash, prices = record.cash_usd, {"A": Decimal(100)}
    context = RiskContext(SPEC, record.state, cash, cash, cash, record.positions, prices, {}, AT)

    kept, _ = StateAllows().apply(context, [order])

    assert forbids(record, order) is (kept != [order])


def test_only_what_is_left_of_an_order_is_judged() -> None:
    assert not forbids(_reducing(10), _order(Side.SELL, 15, filled=5))
    assert forbids(_reducing(10), _order(Side.SELL, 16, filled=5))
