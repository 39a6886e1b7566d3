"""From proposal to position: orders, risk rules, fills and accounts hold together for any input."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from alphamill.adapters.brokers.paper.broker import PaperBroker
from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, OrderStatus, Position, Side, order_id
from alphamill.domain.portfolios import BrokerRef, PortfolioSpec, RiskLimits, Sizing, Universe
from alphamill.execution import Account, collect, propose_orders, reconcile, send_orders
from alphamill.risk import RiskContext, check_orders, default_rules
from alphamill.testing.broker import Answer, FakeBroker, cash_at, fills_at, positions_at
from alphamill.testing.decisions import sample_spec
from alphamill.testing.orders import close_of, fill_of, market_order, session_bars

D = Decimal
SYMBOLS = tuple("ABCD")
QUICK = settings(max_examples=100, deadline=None, derandomize=True)
PRICES = st.dictionaries(
    st.sampled_from(SYMBOLS), st.decimals("0.5", "900", places=2), min_size=len(SYMBOLS), max_size=len(SYMBOLS)
)
QUANTITIES = st.integers(-500, 500).filter(bool)
trades = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS), QUANTITIES, st.decimals("0.5", "900", places=2), st.decimals("0", "5", places=2)
    ),
    max_size=15,
)


@QUICK
@given(trades)
def test_account_is_the_sum_of_its_fills(trades) -> None:
    account, cash = Account(D(1000)), D(1000)
    held = dict.fromkeys(SYMBOLS, D(0))
    for symbol, quantity, price, commission in trades:
        fill = fill_of(symbol, quantity, str(price), commission=str(commission))
        account = account.apply(fill)
        held[symbol] += quantity
        cash += fill.cash_usd
        average = account.positions[symbol].average_price if symbol in account.positions else None
        assert average is None or average > 0
    assert account.cash_usd == cash
    assert {s: p.quantity for s, p in account.positions.items()} == {s: q for s, q in held.items() if q}


@QUICK
@given(QUANTITIES, st.decimals("2", "900", places=2), st.integers(1, 7), st.integers(1, 7), st.integers(0, 5))
def test_split_and_dividend_leave_the_value_to_the_cent(quantity, close, new, old, dividend_pct: int) -> None:
    """Value before = value at the adjusted prices after, plus the cash that was paid."""
    account = Account(D(0)).apply(fill_of("A", quantity, str(close)))
    split = old / new
    after = account.apply_action("A", split * (1 - dividend_pct / 100), split, close)
    adjusted = close * old / new * (100 - dividend_pct) / 100
    in_lieu_part = abs(quantity) * new % old * close / new * dividend_pct / 100
    assert abs(after.nav({"A": adjusted}) - account.nav({"A": close})) <= D("0.005") + in_lieu_part


targets_of = st.dictionaries(st.sampled_from(SYMBOLS), st.floats(-1.5, 1.5), max_size=4)
owned_of = st.dictionaries(st.sampled_from(SYMBOLS), QUANTITIES, max_size=4)


STEPS = st.sampled_from([D(1), D("0.5"), D("0.001"), D("0.000001")])


@QUICK
@given(targets_of, owned_of, PRICES, st.integers(100, 10**6), st.floats(0, 20), STEPS)
def test_proposed_orders_move_toward_their_targets_and_never_past(targets, owned, prices, nav, buffer, step) -> None:
    positions = {symbol: Position(symbol, quantity * step, D(1)) for symbol, quantity in owned.items()}
    orders = propose_orders(
        portfolio="demo",
        decided_at=close_of(0),
        target_weights=targets,
        nav_usd=D(nav),
        positions=positions,
        prices=prices,
        min_order_usd=D(50),
        cash_buffer_pct=buffer,
        share_step=step,
    )
    assert orders == sorted(orders, key=lambda o: (o.side is Side.BUY, o.symbol))
    assert len({order.id for order in orders}) == len(orders)
    for order in orders:
        held = owned.get(order.symbol, 0) * step
        after = held + order.side.sign * order.quantity
        target_usd = D(str(targets[order.symbol])) * nav
        assert order.quantity > 0
        assert order.quantity % step == 0
        assert abs(after) * prices[order.symbol] <= abs(target_usd) + D("1e-9")
        assert order.side.sign * (target_usd - held * prices[order.symbol]) > 0


@st.composite
def risky(draw: st.DrawFn):
    prices = draw(PRICES)
    step = draw(STEPS)
    owned = {symbol: quantity * step for symbol, quantity in draw(owned_of).items()}
    spec = PortfolioSpec(
        name="demo",
        universe=Universe(symbols=SYMBOLS),
        sizing=Sizing(min_order_usd=D(draw(st.integers(0, 500)))),
        risk=RiskLimits(max_order_notional_usd=D(draw(st.integers(500, 10**5)))),
        broker=BrokerRef(
            commission_usd_per_share=draw(st.sampled_from([D(0), D("0.005"), D(2)])),
            commission_min_usd=draw(st.sampled_from([D(0), D(1), D(75)])),
            slippage_usd_per_share=draw(st.sampled_from([D(0), D("0.01"), D(3)])),
            share_step=step,
        ),
    )
    context = RiskContext(
        spec=spec,
        state=draw(st.sampled_from(TradingState)),
        nav_usd=D(10_000),
        peak_nav_usd=D(10_000),
        cash_usd=D(draw(st.integers(-1000, 50_000))),
        positions={symbol: Position(symbol, quantity, D(1)) for symbol, quantity in owned.items()},
        prices=prices,
        volumes={symbol: D(draw(st.integers(0, 20_000))) for symbol in SYMBOLS},
        decided_at=close_of(0),
    )
    wanted = draw(st.dictionaries(st.sampled_from(SYMBOLS), QUANTITIES, max_size=4))
    scale = draw(st.sampled_from([step, D(1)]))
    return context, [market_order(symbol, str(q * scale), price=str(prices[symbol])) for symbol, q in wanted.items()]


@QUICK
@given(risky())
def test_order_rules_only_shrink_or_drop_and_never_overspend(case) -> None:
    context, orders = case
    kept, _ = check_orders(default_rules(context.spec), context, orders)
    before = {order.symbol: order for order in orders}
    spent = D(0)
    for order in kept:
        origin = before[order.symbol]
        assert order.side is origin.side
        assert 0 < order.quantity <= origin.quantity
        assert order.quantity % context.spec.broker.share_step == 0
        assert order.id == order_id(order.portfolio, order.decided_at, order.symbol, order.side, order.quantity)
        assert order.notional_usd <= context.spec.risk.max_order_notional_usd
        spent += order.side.sign * order.notional_usd
        if context.state is TradingState.REDUCING:
            held = context.quantity(order.symbol)
            after = held + order.side.sign * order.quantity
            assert abs(after) < abs(held)
            assert after * held >= 0
    if any(order.side is Side.BUY for order in kept):
        assert spent <= max(context.cash_usd, D(0))
    if context.state is TradingState.HALTED:
        assert kept == []


@QUICK
@given(risky())
def test_checked_orders_never_overdraw_a_paper_account_at_the_decision_price(case) -> None:
    context, orders = case
    kept, _ = check_orders(default_rules(context.spec), context, orders)
    broker = PaperBroker(context.spec.broker, initial_cash={"demo": context.cash_usd})
    for order in kept:
        broker.submit(order)
    broker.on_bars(session_bars(1, {symbol: float(price) for symbol, price in context.prices.items()}))
    # A sale may cost more than it brings: the minimum commission.
    floor = min(context.cash_usd, D(0)) - 75 * sum(order.side is Side.SELL for order in kept)
    assert cash_at(broker) >= floor
    answers = [broker.order(order.id) for order in kept]
    assert all(answer is not None and answer.status is OrderStatus.FILLED for answer in answers)


def settled(record: PortfolioRecord, orders, fills) -> PortfolioRecord:
    """What the ledger does with a collection."""
    account = Account(record.cash_usd, record.positions)
    for fill in fills:
        account = account.apply(fill)
    states = {order.id: order for order in record.open_orders} | {order.id: order for order in orders}
    return replace(
        record,
        cash_usd=account.cash_usd,
        positions=dict(account.positions),
        open_orders=tuple(order for order in states.values() if not order.status.is_final),
        last_fill_id=fills[-1].id if fills else record.last_fill_id,
    )


class Booked:
    """What the ledger has of every order: as it stands, and the ids of its fills."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, set[str]] = defaultdict(set)

    def __call__(self, id_: str) -> tuple[Order, frozenset[str]]:
        return self.orders[id_], frozenset(self.fills[id_])

    def take(self, orders, fills) -> None:
        self.orders |= {order.id: order for order in orders}
        for fill in fills:
            self.fills[fill.order_id].add(fill.id)

    def collected(self, record: PortfolioRecord, broker: FakeBroker):
        known = {id_ for order in record.open_orders for id_ in self.fills[order.id]}
        found = collect(record, broker, known, booked=self)
        self.take(*found)
        return found


def empty_record() -> PortfolioRecord:
    return PortfolioRecord(
        "demo",
        TradingState.ACTIVE,
        "",
        D(10**7),
        {},
        (),
        D(10**7),
        D(10**7),
        close_of(0),
        None,
        None,
        "1",
        sample_spec(),
    )


@QUICK
@given(
    st.lists(st.dictionaries(st.sampled_from(SYMBOLS), QUANTITIES, max_size=3), min_size=1, max_size=5),
    st.lists(st.sampled_from(Answer), max_size=12),
    st.booleans(),
    st.none() | st.integers(0, 9),
    st.sampled_from([None, 0.01]),
)
def test_no_order_is_lost_or_doubled_whatever_the_broker_answers(
    sessions, script, duplicate_fills, disorder, cap_pct
) -> None:
    """Sessions of lost orders, lost and late answers, late rejections, repeated, unordered and partial fills."""
    broker = FakeBroker(
        script,
        cash_usd=D(10**7),
        duplicate_fills=duplicate_fills,
        disorder=disorder,
        max_participation_pct=cap_pct,
    )
    record, wanted, books = empty_record(), [], Booked()
    for session, quantities in enumerate(sessions):
        new = [market_order(symbol, quantity, session=session) for symbol, quantity in quantities.items()]
        wanted += new
        for _ in range(len(script) + 1):
            sent = send_orders([*record.open_orders, *new], broker)
            books.take(sent, ())
            record, new = replace(record, open_orders=tuple(o for o in sent if not o.status.is_final)), []
        broker.on_bars(session_bars(session + 1, dict.fromkeys(SYMBOLS, 100.0)))
        record = settled(record, *books.collected(record, broker))
        assert reconcile(record, broker) == []
    for session in range(len(sessions), 40):  # a hundred shares of a symbol a session
        if not record.open_orders:
            break
        broker.on_bars(session_bars(session + 1, dict.fromkeys(SYMBOLS, 100.0)))
        record = settled(record, *books.collected(record, broker))
        assert reconcile(record, broker) == []
    assert record.open_orders == ()
    answers = [broker.order(order.id) for order in wanted]
    assert all(answer is not None and answer.status.is_final for answer in answers)
    filled = [order for order, answer in zip(wanted, answers, strict=True) if answer.status is OrderStatus.FILLED]
    expected = {s: sum(o.side.sign * o.quantity for o in filled if o.symbol == s) for s in SYMBOLS}
    assert {s: p.quantity for s, p in record.positions.items()} == {s: q for s, q in expected.items() if q}


@QUICK
@given(
    st.lists(st.dictionaries(st.sampled_from(SYMBOLS), QUANTITIES, max_size=4), min_size=1, max_size=6),
    st.booleans(),
    st.floats(0, 50),
)
def test_paper_broker_fills_never_exceed_orders_and_cash_stays_above_zero(sessions, margin, bps) -> None:
    broker = PaperBroker(
        BrokerRef(margin=margin, commission_bps=bps, slippage_bps=bps), initial_cash={"demo": D(10_000)}
    )
    orders = []
    for session, quantities in enumerate(sessions):
        for symbol, quantity in quantities.items():
            orders.append(broker.submit(market_order(symbol, quantity, session=session)))
        broker.on_bars(session_bars(session + 1, dict.fromkeys(SYMBOLS, 100.0 + session)))
        if not margin:
            assert cash_at(broker) >= 0 or all(o.side is Side.SELL for o in orders)
    account = Account(D(10_000))
    for fill in fills_at(broker):
        account = account.apply(fill)
    assert account.cash_usd == cash_at(broker)
    assert [account.positions[s] for s in sorted(account.positions)] == positions_at(broker)
    for order in orders:
        after = broker.order(order.id)
        assert after is not None
        assert after.status is (
            OrderStatus.FILLED if after.filled_quantity == order.quantity else OrderStatus.CANCELLED
        )
        filled = sum((f.quantity for f in fills_at(broker) if f.order_id == order.id), D(0))
        assert filled == after.filled_quantity <= order.quantity
