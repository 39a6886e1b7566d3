"""Orders and interventions of the live path as table rows."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from alphamill.domain.decisions import Decision, Verdict
from alphamill.domain.orders import Fill, Order


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order. `fill_price` is the mean over its fills, per share in USD; None if nothing was filled."""

    decided_on: str
    symbol: str
    side: str
    quantity: str
    fill_price: str | None
    commission: str | None
    status: str
    why: str
    explain: str


@dataclass(frozen=True, slots=True)
class Intervention:
    """How often a rule shrank or denied, or a symbol was refused, and what was said the last time."""

    kind: str
    code: str
    symbols: str
    times: int
    latest: str


def _plain(quantity: Decimal) -> str:
    text = f"{quantity:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _order_row(order: Order, fills: Sequence[Fill]) -> OrderRow:
    filled = sum((fill.quantity for fill in fills), Decimal(0))
    paid = sum((fill.quantity * fill.price for fill in fills), Decimal(0))
    return OrderRow(
        decided_on=f"{order.decided_at:%Y-%m-%d}",
        symbol=order.symbol,
        side=order.side.value,
        quantity=_plain(order.quantity),
        fill_price=f"{paid / filled:,.2f}" if filled else None,
        commission=f"{sum((fill.commission_usd for fill in fills), Decimal(0)):,.2f}" if filled else None,
        status=order.status.value.replace("_", " "),
        why=order.reason,
        explain=f"alphamill explain {order.id}",
    )


def order_rows(orders: Iterable[Order], fills: Iterable[Fill]) -> list[OrderRow]:
    """Newest decision first."""
    by_order: dict[str, list[Fill]] = defaultdict(list)
    for fill in fills:
        by_order[fill.order_id].append(fill)
    newest = sorted(orders, key=lambda order: (order.decided_at, order.symbol), reverse=True)
    return [_order_row(order, by_order[order.id]) for order in newest]


def interventions(decisions: Iterable[Decision]) -> list[Intervention]:
    """Every refusal, and every rule that did more than pass, by kind and code; most frequent first."""
    seen: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda each: each.decided_at):
        for refusal in decision.refusals:
            seen["refused", refusal.code].append((refusal.symbol, refusal.detail))
        for result in decision.rules:
            if result.verdict is not Verdict.PASS:
                kind = "denied" if result.verdict is Verdict.DENY else "shrunk"
                seen[kind, result.code].append((result.symbol, result.detail))
    rows = [
        Intervention(kind, code, ", ".join(sorted({symbol for symbol, _ in hits})), len(hits), hits[-1][1])
        for (kind, code), hits in seen.items()
    ]
    return sorted(rows, key=lambda row: (-row.times, row.kind, row.code))
