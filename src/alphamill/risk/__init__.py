"""Stage 10: named rules between target weights and orders. Each can pass, shrink or deny, with a code."""

from alphamill.risk.context import RiskContext
from alphamill.risk.defaults import default_rules, next_state
from alphamill.risk.exit_rules import StopLoss, TakeProfit, TrailingStop
from alphamill.risk.rule import ExitRule, OrderRule, Rules, TargetRule, check_orders, check_targets, own_rule, resize

__all__ = [
    "ExitRule",
    "OrderRule",
    "RiskContext",
    "Rules",
    "StopLoss",
    "TakeProfit",
    "TargetRule",
    "TrailingStop",
    "check_orders",
    "check_targets",
    "default_rules",
    "next_state",
    "own_rule",
    "resize",
]
