"""`alphamill explain ORDER_ID`: from an order back to the data it was decided on."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.tree import Tree

    from alphamill.domain.ledger import OrderTrail


def register(app: typer.Typer) -> None:
    app.command()(explain)


def explain(
    order_id: Annotated[str, typer.Argument(help="An order's id, e.g. from `alphamill portfolio orders`.")],
) -> None:
    """Show why an order was sent.

    Order, fills, decision, rule results, forecast, feature values with their times, model version, run and data
    version.
    """
    from alphamill.bootstrap import wiring
    from alphamill.cli.console import out
    from alphamill.cli.runtime import settings_with

    out().print(trail_tree(wiring(settings_with()).ledger().trail(order_id)))


def trail_tree(trail: "OrderTrail") -> "Tree":
    """The whole trail of one order; everything about other symbols is left out."""
    from rich.tree import Tree

    order, decision = trail.order, trail.decision
    what = f"{order.side.value} {order.quantity:f} {order.symbol}, {order.status.value}"
    tree = Tree(f"[bold]order[/] {order.id}: {what}")
    tree.add(f"reason: {order.reason}")
    if order.detail:
        tree.add(f"detail: {order.detail}")
    fills = tree.add(f"[bold]fills[/] {order.filled_quantity:f} of {order.quantity:f}")
    for fill in trail.fills:
        fills.add(f"{fill.filled_at}  {fill.quantity:f} @ {fill.price} USD, commission {fill.commission_usd} USD")
    branch = tree.add(f"[bold]decision[/] {decision.id} at {decision.decided_at} ({decision.source}, {decision.state})")
    branch.add(f"NAV {decision.nav_usd:,.2f} USD, close {decision.prices.get(order.symbol, order.reference_price)} USD")
    before, target = (w.get(order.symbol, 0.0) for w in (decision.weights_before, decision.target_weights))
    branch.add(f"weight {before:.4f} -> {target:.4f} (fractions of NAV)")
    if order.symbol in decision.signals:
        branch.add(f"signal: {decision.signals[order.symbol].value}")
    _add_rules(branch, trail)
    _add_forecast(branch, trail)
    _add_features(branch, trail)
    model = branch.add(f"[bold]model[/] {decision.model_version or 'none'}")
    model.add(f"run {decision.run_id or 'none'}")
    model.add(f"data version {decision.data_version}")
    return tree


def _add_rules(branch: "Tree", trail: "OrderTrail") -> None:
    rules = branch.add("[bold]risk rules[/]")
    for result in trail.decision.rules:
        if result.symbol in (trail.order.symbol, "*"):
            rules.add(f"{result.rule}: {result.verdict.value} {result.code} {result.detail}".rstrip())


def _add_forecast(branch: "Tree", trail: "OrderTrail") -> None:
    for forecast in trail.decision.forecasts:
        if forecast.symbol == trail.order.symbol:
            branch.add(
                f"[bold]forecast[/] mean {1e4 * forecast.mean:.2f} bps, std {1e4 * forecast.std:.2f} bps, "
                f"confidence {forecast.confidence:.3f}"
            )


def _add_features(branch: "Tree", trail: "OrderTrail") -> None:
    for snapshot in trail.decision.snapshots:
        if snapshot.symbol == trail.order.symbol:
            features = branch.add(f"[bold]features[/] as of {snapshot.ts}")
            for name, value in snapshot.values.items():
                features.add(f"{name} = {value!r}")
