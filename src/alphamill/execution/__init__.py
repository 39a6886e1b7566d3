"""Stage 11: from target weights to orders, fills and positions."""

from alphamill.domain.costs import Commission, CommissionModel, Slippage, SlippageModel, costs_of
from alphamill.execution.account import Account
from alphamill.execution.collection import collect, in_new_shares, split_by_session
from alphamill.execution.lanes import Lanes
from alphamill.execution.proposal import propose_orders
from alphamill.execution.reconciliation import reconcile
from alphamill.execution.sending import send_orders

__all__ = [
    "Account",
    "Commission",
    "CommissionModel",
    "Lanes",
    "Slippage",
    "SlippageModel",
    "collect",
    "costs_of",
    "in_new_shares",
    "propose_orders",
    "reconcile",
    "send_orders",
    "split_by_session",
]
