"""Decisions and settlements made up from a seed: complete, valid, and full of awkward digits."""

import datetime as dt
import random
from dataclasses import replace
from decimal import Decimal

from alphamill.domain.decisions import Decision, Refusal, RuleResult, Signal, TradingState, Verdict
from alphamill.domain.features import FeatureSnapshot
from alphamill.domain.forecasts import Forecast
from alphamill.domain.ledger import NavPoint, Settlement
from alphamill.domain.orders import Fill, Order, OrderStatus, Position, Side, order_id
from alphamill.domain.portfolios import PortfolioSpec, Universe
from alphamill.ports import Books

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


def sample_spec(name: str = "demo") -> PortfolioSpec:
    """A portfolio over `SYMBOLS` with default limits."""
    return PortfolioSpec(name=name, universe=Universe(symbols=SYMBOLS))


def sample_decision(number: int, *, portfolio: str = "demo", symbols: tuple[str, ...] = SYMBOLS) -> Decision:
    """The decision of day `number`; the same number gives the same decision. One order per symbol."""
    rng = random.Random(f"{portfolio}-{number}")
    at = dt.datetime(2012, 1, 3, 21, tzinfo=dt.UTC) + dt.timedelta(days=number, microseconds=rng.randrange(1_000_000))
    version = f"forecaster-{1 + number // 10}"
    return Decision(
        id=f"dec-{portfolio}-{number}",
        portfolio=portfolio,
        decided_at=at,
        source="model",
        state=TradingState.ACTIVE,
        data_version=str(number),
        model_version=version,
        run_id=f"run-{number // 10}",
        nav_usd=_digits(rng, 100_000),
        prices={symbol: _digits(rng, 100) for symbol in symbols},
        snapshots=tuple(FeatureSnapshot(s, at, {f"feature_{i}": rng.gauss(0, 1) for i in range(14)}) for s in symbols),
        forecasts=tuple(Forecast(s, at, rng.gauss(0, 0.01), rng.uniform(0.01, 0.1), version) for s in symbols),
        signals={symbol: rng.choice(list(Signal)) for symbol in symbols},
        weights_before={symbol: rng.random() / 3 for symbol in symbols},
        target_weights={symbol: rng.random() / 3 for symbol in symbols},
        rules=tuple(RuleResult("max_weight", s, rng.choice(list(Verdict)), "WEIGHT", "0.41 -> 0.40") for s in symbols),
        refusals=(Refusal("ZZZ", "STALE_FEATURES", 'two days old; "quoted", ünïcode'),),
        orders=tuple(_order(rng, portfolio, at, symbol) for symbol in symbols),
    )


def sample_settlement(decision: Decision, *, filled: bool = True) -> Settlement:
    """The close after `decision`: all its orders filled, or accepted and waiting."""
    rng = random.Random(decision.id)
    at = decision.decided_at + dt.timedelta(hours=12)
    status = OrderStatus.FILLED if filled else OrderStatus.ACCEPTED
    fills = tuple(
        Fill(f"fill-{o.id}", o.id, o.symbol, o.side, o.quantity, _digits(rng, 100), _digits(rng, 1), at)
        for o in decision.orders
    )
    cash = _digits(rng, 50_000)
    return Settlement(
        portfolio=decision.portfolio,
        at=at,
        orders=tuple(o.with_status(status, "as the broker said") for o in decision.orders),
        fills=fills if filled else (),
        cash_usd=cash,
        positions=tuple(
            Position(o.symbol, _digits(rng, 10), _digits(rng, 100), rng.choice([None, _digits(rng, 100)]))
            for o in decision.orders
        ),
        nav=NavPoint(at, cash + _digits(rng, 50_000), cash),
    )


def _order(rng: random.Random, portfolio: str, at: dt.datetime, symbol: str) -> Order:
    side, quantity = rng.choice(list(Side)), _digits(rng, 10)
    return Order(
        id=order_id(portfolio, at, symbol, side, quantity),
        portfolio=portfolio,
        decided_at=at,
        symbol=symbol,
        side=side,
        quantity=quantity,
        reference_price=_digits(rng, 100),
        reason=f"weight 0.100 -> {rng.random():.3f}",
    )


def _digits(rng: random.Random, scale: int) -> Decimal:
    """A positive amount near `scale` with up to eight decimals, trailing zeros included."""
    return Decimal(rng.randrange(1, scale * 10**8)).scaleb(-8)


def commit(ledger: Books, decision: Decision) -> None:
    """Commit a made-up decision on the revision that the books have."""
    ledger.commit(replace(decision, revision=ledger.record(decision.portfolio).revision))


def settle(ledger: Books, settlement: Settlement) -> None:
    """Settle on the revision that the books have."""
    ledger.settle(replace(settlement, revision=ledger.record(settlement.portfolio).revision))
