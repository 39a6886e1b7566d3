"""The rules every portfolio runs, and the state its drawdown trips."""

import datetime as dt
from typing import Final

from alphamill.domain.costs import costs_of
from alphamill.domain.decisions import TradingState
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.risk.context import RiskContext
from alphamill.risk.exit_rules import StopLoss, TakeProfit, TrailingStop
from alphamill.risk.gross_rule import GrossAfterOrders
from alphamill.risk.order_rules import (
    BuyingPower,
    MaxOrderNotional,
    MaxVolume,
    MinOrder,
    StateAllows,
    ValidNumbers,
)
from alphamill.risk.rule import OrderRule, Rules, TargetRule, build_own_rule
from alphamill.risk.target_rules import GrossLimit, LongOnly, MaxDrawdown, MaxTurnover, MaxWeight

#: How the reason of a state set by the drawdown rule begins; a person's reason is kept apart by it.
BY_DRAWDOWN: Final = "rule max_drawdown"


def default_rules(spec: PortfolioSpec) -> Rules:
    """Both families in the order they run, the portfolio's own rules in front.

    Stop-loss, take-profit and trailing stop are the last target rules, so that nothing softens them. Buying
    power comes after the order rules that cut sales, so that it counts only those that will be sent; the
    gross limit after orders is the last, so that it counts only what will be closed. It cuts nothing that buying
    power counted on. Both deny what they leave under the smallest order.
    """
    sizing, risk, broker = spec.sizing, spec.risk, spec.broker
    targets: list[TargetRule] = [LongOnly()] if sizing.long_only else []
    targets += [
        MaxWeight(sizing.max_weight),
        GrossLimit(sizing.gross_limit),
        MaxTurnover(risk.max_turnover_pct),
        MaxDrawdown(risk.max_drawdown_pct),
        StopLoss(risk.stop_loss_pct),
    ]
    if risk.take_profit_pct is not None:
        targets.append(TakeProfit(risk.take_profit_pct))
    if risk.trailing_stop_pct is not None:
        targets.append(TrailingStop(risk.trailing_stop_pct))
    orders: list[OrderRule] = [
        ValidNumbers(),
        StateAllows(),
        MaxOrderNotional(risk.max_order_notional_usd),
        MaxVolume(risk.max_volume_pct),
        MinOrder(sizing.min_order_usd),
    ]
    if not broker.margin:
        orders.append(BuyingPower(*costs_of(broker), sizing.min_order_usd))
    orders.append(GrossAfterOrders(sizing.gross_limit, sizing.min_order_usd))
    rules = Rules(tuple(targets), tuple(orders))
    for name in risk.own_rules:
        own = build_own_rule(name, spec)
        rules = rules.with_target(own) if isinstance(own, TargetRule) else rules.with_order(own)
    return rules


def next_state(context: RiskContext) -> tuple[TradingState, str]:
    """The state the portfolio's own numbers ask for, and why; the reason is empty when nothing changes.

    A drawdown at the limit turns ACTIVE into REDUCING. That alone turns back by itself, after the pause the
    portfolio declares; what a person has stopped, a person resumes.
    """
    risk = context.spec.risk
    if context.state is TradingState.ACTIVE and context.drawdown_pct >= risk.max_drawdown_pct:
        limit = f"{context.drawdown_pct:.2f} % from the peak reached the limit of {risk.max_drawdown_pct:g} %"
        return TradingState.REDUCING, f"{BY_DRAWDOWN}: {limit}"
    if _paused_long_enough(context):
        return TradingState.ACTIVE, f"{BY_DRAWDOWN}: the pause of {risk.drawdown_pause_days} days is over"
    return context.state, ""


def _paused_long_enough(context: RiskContext) -> bool:
    pause = context.spec.risk.drawdown_pause_days
    tripped = context.state is TradingState.REDUCING and context.state_reason.startswith(BY_DRAWDOWN)
    if pause is None or context.state_since is None or not tripped:
        return False
    return context.decided_at - context.state_since >= dt.timedelta(days=pause)
