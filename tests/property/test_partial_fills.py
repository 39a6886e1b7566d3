"""Ledger and broker agree to the last digit, whatever fills in parts, in fractions of a share, and splits between."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Fill
from alphamill.domain.portfolios import BrokerRef
from alphamill.execution import Account, collect, reconcile, send_orders
from alphamill.testing.broker import cash_at, fills_at, positions_at
from alphamill.testing.decisions import sample_spec
from alphamill.testing.orders import close_of, market_order, session_bars

D = Decimal
SYMBOLS = tuple("ABC")
CASH = D(10_000)
NONE: Mapping[str, float] = {}


def by_symbol(values: st.SearchStrategy[Any], **size: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(SYMBOLS), values, **size)


SESSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "decides": st.booleans(),
            "orders": by_symbol(st.integers(-500, 500).filter(bool)),
            "volumes": by_symbol(st.integers(0, 3000)),
            "opens": by_symbol(st.integers(100, 30_000)),
            "splits": by_symbol(st.sampled_from([0.5, 1 / 3, 1.5, 3.0, 10.0]), max_size=2),
        }
    ),
    min_size=1,
    max_size=6,
)
REFS = st.builds(
    BrokerRef,
    commission_bps=st.sampled_from([0.0, 7.5]),
    commission_min_usd=st.sampled_from([D(0), D("0.35")]),
    slippage_usd_per_share=st.sampled_from([D(0), D("0.02")]),
    share_step=st.sampled_from([D(1), D("0.5"), D("0.001")]),
    max_participation_pct=st.none() | st.floats(0.1, 40),
    margin=st.booleans(),
)


class Trading:
    """A ledger's record beside a broker: what the controller does, session by session."""

    def __init__(self, ref: BrokerRef) -> None:
        self.step, self.cap_pct = ref.share_step, ref.max_participation_pct
        self.broker = PaperBroker(ref, initial_cash={"demo": CASH})
        self.record = PortfolioRecord(
            "demo", TradingState.ACTIVE, "", CASH, {}, (), CASH, CASH, close_of(0), None, None, "1", sample_spec()
        )
        self.closes = dict.fromkeys(SYMBOLS, D(100))

    def settle(self, splits: Mapping[str, float] = NONE) -> list[Fill]:
        record = self.record
        orders, fills = collect(record, self.broker, splits=splits, share_step=self.step)
        account = Account(record.cash_usd, record.positions)
        for symbol, factor in splits.items():
            account = account.apply_action(symbol, factor, factor, self.closes[symbol], self.step)
        for fill in fills:
            account = account.apply(fill)
        states = {order.id: order for order in (*record.open_orders, *orders)}
        self.record = replace(
            record,
            cash_usd=account.cash_usd,
            positions=dict(account.positions),
            open_orders=tuple(order for order in states.values() if not order.status.is_final),
            last_fill_id=fills[-1].id if fills else record.last_fill_id,
        )
        return fills

    def decide(self, number: int, wanted: Mapping[str, int]) -> None:
        """What is left of the old orders ends, the new ones are sent."""
        for order in self.record.open_orders:
            self.broker.cancel(order.id)
        self.settle()
        assert self.record.open_orders == ()
        orders = [market_order(s, str(q * self.step), session=number) for s, q in wanted.items()]
        self.record = replace(self.record, open_orders=tuple(send_orders(orders, self.broker)))

    def trade(self, number: int, session: Mapping[str, Any]) -> None:
        splits = session["splits"]
        cents = {s: session["opens"].get(s, int(self.closes[s] * 100)) for s in SYMBOLS}
        opens = {s: cents[s] / 100 for s in SYMBOLS}
        volumes = {s: float(session["volumes"].get(s, 1000)) for s in SYMBOLS}
        self.broker.on_bars(session_bars(number + 1, opens, split_factors=splits, volumes=volumes))
        fills = self.settle(splits)
        self.closes = {s: D(str(price)) for s, price in opens.items()}
        if self.cap_pct is not None:
            for symbol in SYMBOLS:
                traded = sum((f.quantity for f in fills if f.symbol == symbol), D(0))
                assert traded <= D(str(volumes[symbol])) * D(str(self.cap_pct)) / 100

    def require_agreement(self) -> None:
        record = self.record
        assert reconcile(record, self.broker) == []
        assert record.cash_usd == cash_at(self.broker)
        assert record.positions == {p.symbol: p for p in positions_at(self.broker)}
        assert all(p.quantity % self.step == 0 for p in record.positions.values())
        for order in record.open_orders:
            answer = self.broker.order(order.id)
            assert answer is not None
            assert (order.status, order.quantity, order.filled_quantity) == (
                answer.status,
                answer.quantity,
                answer.filled_quantity,
            )
            assert 0 <= order.filled_quantity < order.quantity


@settings(max_examples=100, deadline=None, derandomize=True)
@given(REFS, SESSIONS)
def test_ledger_and_broker_agree_whatever_fills_in_parts_and_splits(ref: BrokerRef, sessions) -> None:
    trading = Trading(ref)
    for number, session in enumerate(sessions):
        if session["decides"]:
            trading.decide(number, session["orders"])
        trading.trade(number, session)
        trading.require_agreement()
    told = fills_at(trading.broker)
    assert len({fill.id for fill in told}) == len(told)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(REFS, SESSIONS)
def test_position_is_the_sum_of_fills_and_cash_that_of_their_money(ref: BrokerRef, sessions) -> None:
    trading = Trading(ref)
    orders = {}
    for number, session in enumerate(sessions):
        if session["decides"]:
            trading.decide(number, session["orders"])
            orders |= {order.id: order for order in trading.record.open_orders}
        trading.trade(number, {**session, "splits": {}})
    told = fills_at(trading.broker)
    sums = {s: sum((f.side.sign * f.quantity for f in told if f.symbol == s), D(0)) for s in SYMBOLS}
    assert {s: p.quantity for s, p in trading.record.positions.items()} == {s: q for s, q in sums.items() if q}
    assert trading.record.cash_usd == CASH + sum((fill.cash_usd for fill in told), D(0))
    for id_, order in orders.items():
        answer = trading.broker.order(id_)
        assert answer is not None
        parts = [fill.quantity for fill in told if fill.order_id == id_]
        assert sum(parts, D(0)) == answer.filled_quantity <= order.quantity == answer.quantity
        assert all(part > 0 and part % ref.share_step == 0 for part in parts)
