"""Weights a person sends: checked before they become a target, then planned like any others."""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta

from alphamill.domain.decisions import TradingState
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import Conflict, DataUnfit, Halted, InvalidWeights, NotReconciled, UnknownSymbol
from alphamill.execution import reconcile
from alphamill.ports import Broker
from alphamill.risk import Rules
from alphamill.trading.books import in_doubt
from alphamill.trading.market import Market
from alphamill.trading.plan import Plan, plan_to_weights, risk_context

TOLERANCE = 1e-9


def require_valid_targets(spec: PortfolioSpec, weights: Mapping[str, float]) -> None:
    """Known symbols, finite numbers, within the portfolio's limits; the whole request or nothing.

    Raises
    ------
    UnknownSymbol
        Names the symbol and the universe.
    InvalidWeights
        Names the weight and the limit it breaks.
    """
    if not weights:
        raise InvalidWeights("no weights given.", field="weights", remedy="Send at least one symbol.")
    sizing, known = spec.sizing, spec.universe.symbols
    for symbol, weight in weights.items():
        field = f"weights.{symbol}"
        if symbol not in known:
            raise UnknownSymbol(
                f"{symbol} is not in portfolio {spec.name}.", field=field, remedy=f"Known symbols: {', '.join(known)}."
            )
        if not math.isfinite(weight):
            raise InvalidWeights(f"{symbol} has weight {weight}.", field=field, remedy="Weights are finite numbers.")
        lower = 0.0 if sizing.long_only else -sizing.max_weight
        if not lower - TOLERANCE <= weight <= sizing.max_weight + TOLERANCE:
            raise InvalidWeights(
                f"{symbol} has weight {weight}, outside [{lower}, {sizing.max_weight}].",
                field=field,
                remedy="Change the weight or sizing.max_weight of the portfolio.",
            )
    gross = sum(abs(weight) for weight in weights.values())
    if gross > sizing.gross_limit + TOLERANCE:
        raise InvalidWeights(
            f"the weights sum to {gross:.6g} in absolute value, the gross limit is {sizing.gross_limit}.",
            field="weights",
            remedy="Scale them down.",
        )


def require_tradable(
    weights: Mapping[str, float], priced: Collection[str], gone: Collection[str], late: str | None
) -> None:
    """Every symbol has a price and still trades, and orders can still reach their open.

    Raises
    ------
    DataUnfit
        Names the symbol that no bar has priced yet, or that is delisted.
    Conflict
        `late` says why no order of the last close can trade any more.
    """
    for symbol, weight in weights.items():
        if symbol in gone and weight:
            raise DataUnfit(f"{symbol} is delisted.", field=f"weights.{symbol}", remedy="Leave it out.")
        if symbol not in priced:
            raise DataUnfit(f"{symbol} has no price.", field=f"weights.{symbol}", remedy="Send its bars first.")
    if late:
        remedy = "Send the target between the next close and its open."
        raise Conflict(f"TOO_LATE: {late}.", field="weights", remedy=remedy)


def require_may_send(record: PortfolioRecord, broker: Broker) -> None:
    """The portfolio is not halted, and its broker has the same books.

    Raises
    ------
    Halted, NotReconciled
        Says why no order may be sent.
    """
    if record.state is TradingState.HALTED:
        raise Halted(f"portfolio {record.name} is HALTED: {record.state_reason}.", remedy="Resume it first.")
    if differences := reconcile(record, broker):
        raise NotReconciled(f"ledger and broker disagree: {'; '.join(differences)}.", remedy="Settle this first.")


def require_none_in_doubt(record: PortfolioRecord) -> None:
    """No order is open: what was open before a manual target was called back. `NotReconciled` names those left."""
    if record.open_orders:
        remedy = "Ask the broker about them; nothing new is sent meanwhile."
        raise NotReconciled(in_doubt(record.open_orders), remedy=remedy)


def manual_plan(
    spec: PortfolioSpec, record: PortfolioRecord, market: Market, weights: Mapping[str, float], rules: Rules
) -> Plan:
    """Orders towards `weights`, judged by the rules; what is left out of them, and has a price, goes to zero."""
    targets = {symbol: weights.get(symbol, 0.0) for symbol in spec.universe.symbols if symbol in market.prices}
    said = dict.fromkeys(targets, "manual target")
    current = market.weights(record.positions, record.nav_usd)
    context = risk_context(spec, record, market, record.state)
    return plan_to_weights(context, rules, current, targets, {}, said, set())


def after(record: PortfolioRecord, market: Market) -> Market:
    """The market for a decision between two closes, which counts as made after every one before it."""
    return replace(market, ts=max(market.ts, (record.last_decision_at or market.ts) + timedelta(microseconds=1)))
