"""When a session does not decide, and what it may do all the same: close what an exit rule trips. Pure; no I/O."""

from collections.abc import Mapping, Sequence

from alphamill.domain.decisions import Refusal, TradingState
from alphamill.domain.forecasts import Forecast
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order, Side, order_id
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError
from alphamill.features.history import BarHistory
from alphamill.risk import RiskContext, Rules, check_orders, check_targets
from alphamill.trading.inputs import refuse_all
from alphamill.trading.market import Market
from alphamill.trading.plan import Plan, exit_reasons, plan_from_forecasts


def forbidden(record: PortfolioRecord, late: str | None) -> tuple[Refusal, ...]:
    """Why nothing at all may be sent; one refusal for the whole portfolio."""
    if record.state is TradingState.HALTED:
        return (Refusal("*", "HALTED", record.state_reason),)
    return (Refusal("*", "TOO_LATE", late),) if late else ()


def not_scheduled(spec: PortfolioSpec, market: Market) -> tuple[Refusal, ...]:
    """Whether the schedule skips the session: nothing is forecast or sized, and only exit rules may close."""
    every = spec.schedule.every_bars
    return (Refusal("*", "NOT_SCHEDULED", f"decides every {every} bars"),) if market.bars_seen % every else ()


def missed_sessions(market: Market) -> tuple[Refusal, ...]:
    """Whether sessions before this one never arrived: its features and returns would span them as if it were a day."""
    if not market.missed:
        return ()
    days = ", ".join(map(str, market.missed[:5])) + (" ..." if len(market.missed) > 5 else "")
    return (Refusal("*", "MISSING_SESSION", f"no bar came of the session before this one: {days}"),)


def tripped(context: RiskContext, rules: Rules) -> set[str]:
    """Held symbols that an exit rule closes. Looks at nothing but positions and their prices."""
    return set(check_targets(rules.exits, context, {})[0])


def exit_plan(context: RiskContext, rules: Rules, current: Mapping[str, float]) -> Plan:
    """Orders that close what an exit rule trips, judged by the order rules; every other weight stays as it is.

    No other target rule is asked and nothing is sized: a position is closed whole, whatever the NAV is.
    """
    targets, target_results = check_targets(rules.exits, context, {})
    reasons = exit_reasons(rules, target_results)
    orders = [
        _closing(context, symbol, f"target 0.00 from {current.get(symbol, 0.0):.2f}, {reasons[symbol]}")
        for symbol in targets
    ]
    kept, order_results = check_orders(rules, context, sorted(orders, key=lambda o: (o.side is Side.BUY, o.symbol)))
    return Plan({}, {**current, **targets}, (*target_results, *order_results), tuple(kept))


def plan_or_exit(
    context: RiskContext,
    rules: Rules,
    current: Mapping[str, float],
    forecasts: Sequence[Forecast],
    history: BarHistory,
    refusals: tuple[Refusal, ...],
) -> tuple[Plan, tuple[Refusal, ...]]:
    """The plan, and what was refused by then.

    Where sizing fails, every rule may still close a position; where that fails too, the exit rules alone.
    """
    symbols = context.spec.universe.symbols
    for sized in (forecasts, ()):
        refused = {r.symbol for r in refusals}
        try:
            return plan_from_forecasts(context, rules, current, sized, history, refused), refusals
        except AlphamillError as error:
            refusals = (*refusals, *refuse_all([s for s in symbols if s not in refused], error))
    return exit_plan(context, rules, current), refusals


def _closing(context: RiskContext, symbol: str, reason: str) -> Order:
    held = context.quantity(symbol)
    side, at, name = Side.SELL if held > 0 else Side.BUY, context.decided_at, context.spec.name
    id_ = order_id(name, at, symbol, side, abs(held))
    return Order(id_, name, at, symbol, side, abs(held), context.prices[symbol], reason)
