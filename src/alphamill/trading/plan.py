"""From forecasts to orders: signals, target weights, risk rules. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from alphamill.domain.decisions import RuleResult, Signal, TradingState
from alphamill.domain.forecasts import Forecast
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.execution import propose_orders
from alphamill.features.history import BarHistory
from alphamill.portfolio import signals as signals_of
from alphamill.portfolio import target_weights
from alphamill.risk import RiskContext, Rules, check_orders, check_targets
from alphamill.trading.market import Market

MIN_GROSS = 1e-9


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decision wants to do, after every rule has spoken."""

    signals: dict[str, Signal]
    target_weights: dict[str, float]
    rules: tuple[RuleResult, ...]
    orders: tuple[Order, ...]


#: Holds everything.
EMPTY: Final = Plan({}, {}, (), ())


def risk_context(spec: PortfolioSpec, record: PortfolioRecord, market: Market, state: TradingState) -> RiskContext:
    """The numbers every rule may look at."""
    return RiskContext(
        spec=spec,
        state=state,
        nav_usd=record.nav_usd,
        peak_nav_usd=record.peak_nav_usd,
        cash_usd=record.cash_usd,
        positions=record.positions,
        prices=market.prices,
        volumes=market.volumes,
        decided_at=market.ts,
        state_reason=record.state_reason,
        state_since=record.state_since,
    )


def plan_from_forecasts(
    context: RiskContext,
    rules: Rules,
    current: Mapping[str, float],
    forecasts: Sequence[Forecast],
    history: BarHistory,
    held: set[str],
) -> Plan:
    """Size the forecast symbols; `held` symbols keep their weight and use up their part of the gross limit."""
    spec = context.spec
    if not forecasts:
        return plan_to_weights(context, rules, current, {}, {}, {}, held)
    signals = signals_of(forecasts, spec.sizing.signal_threshold_bps)
    free_gross = max(spec.sizing.gross_limit - sum(abs(current.get(symbol, 0.0)) for symbol in sorted(held)), MIN_GROSS)
    weights = target_weights(
        spec.sizing.model_copy(update={"gross_limit": free_gross}),
        forecasts=forecasts,
        signals=signals,
        returns=history.adjusted_returns([f.symbol for f in forecasts], spec.sizing.covariance_bars),
        current={f.symbol: current.get(f.symbol, 0.0) for f in forecasts},
        horizon_bars=spec.model.horizon_bars,
    )
    # No order without a target or a position: of many forecasts few words are needed.
    moving = [f for f in forecasts if weights[f.symbol] or current.get(f.symbol)]
    said = {f.symbol: f"forecast {f.mean:+.2%} ± {f.std:.2%} over {spec.model.horizon_bars} bars" for f in moving}
    return plan_to_weights(context, rules, current, weights, signals, said, held)


def plan_to_weights(
    context: RiskContext,
    rules: Rules,
    current: Mapping[str, float],
    weights: Mapping[str, float],
    signals: dict[str, Signal],
    said: Mapping[str, str],
    held: set[str],
) -> Plan:
    """Targets through the target rules, differences into orders, orders through the order rules."""
    spec = context.spec
    gone = [symbol for symbol in context.positions if symbol not in spec.universe.symbols]
    said = {**dict.fromkeys(gone, "no longer in the universe"), **said}
    wanted = {**{symbol: current.get(symbol, 0.0) for symbol in sorted(held)}, **dict.fromkeys(gone, 0.0), **weights}
    targets, target_results = check_targets(rules, context, wanted)
    # A held symbol has no trustworthy forecast: only a rule that closes it, such as the stop-loss, moves it.
    moved = {s: w for s, w in targets.items() if s not in held or (not w and wanted[s])}
    proposed = propose_orders(
        portfolio=spec.name,
        decided_at=context.decided_at,
        target_weights=moved,
        share_step=spec.broker.share_step,
        nav_usd=context.nav_usd,
        positions=context.positions,
        prices=context.prices,
        min_order_usd=spec.sizing.min_order_usd,
        cash_buffer_pct=spec.sizing.cash_buffer_pct,
        reasons={**{s: said.get(s, "no forecast") for s in moved}, **exit_reasons(rules, target_results)},
    )
    orders, order_results = check_orders(rules, context, proposed)
    return Plan(signals, {**wanted, **moved}, (*target_results, *order_results), tuple(orders))


def exit_reasons(rules: Rules, results: Sequence[RuleResult]) -> dict[str, str]:
    """By symbol, what the first exit rule that closes it said."""
    names = {rule.name for rule in rules.exits.targets}
    return {r.symbol: f"{r.rule}: {r.detail}" for r in reversed(results) if r.rule in names and r.symbol != "*"}
