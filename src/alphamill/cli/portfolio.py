"""`alphamill portfolio`: look at a portfolio and stop it. Needs the ledger and nothing else."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from alphamill.errors import NotFound

if TYPE_CHECKING:
    from rich.table import Table

    from alphamill.domain.decisions import TradingState
    from alphamill.domain.ledger import PortfolioRecord
    from alphamill.domain.orders import Order
    from alphamill.domain.portfolios import PortfolioSpec
    from alphamill.ports import Books, Wiring

app = typer.Typer(help="Show a portfolio, halt it, let it only reduce, or resume it.", no_args_is_help=True)

#: Columns of a terminal that has room for the reasons of orders.
WIDE = 110

Name = Annotated[str | None, typer.Option("--portfolio", "-p", help="Name of the portfolio; default: the only one.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept in the ledger.")]


@app.command()
def status(portfolio: Name = None) -> None:
    """State, NAV, drawdown, positions, open orders and the last decision."""
    from alphamill.bootstrap import wiring
    from alphamill.cli.console import find_portfolio, out
    from alphamill.cli.runtime import settings_with

    settings = settings_with()
    spec = find_portfolio(settings, portfolio)
    out().print(record_table(_existing(wiring(settings), spec.name).record(spec.name), spec))


@app.command()
def orders(
    portfolio: Name = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="How many, the newest at the end.")] = 20,
) -> None:
    """The newest orders with their ids, for `alphamill explain`."""
    from alphamill.bootstrap import wiring
    from alphamill.cli.console import find_portfolio, out
    from alphamill.cli.runtime import settings_with

    settings = settings_with()
    name = find_portfolio(settings, portfolio).name
    parts = wiring(settings)
    _require_known(parts, name)
    console, found = out(), parts.history().orders(name)[-last:]
    console.print(orders_table(found, why=console.width >= WIDE))


@app.command()
def halt(portfolio: Name = None, reason: Reason = "halted by hand") -> None:
    """Send nothing any more. Works with everything but the ledger down."""
    _set("HALTED", portfolio, reason)


@app.command()
def reduce(portfolio: Name = None, reason: Reason = "reducing by hand") -> None:
    """From now on never raise exposure."""
    _set("REDUCING", portfolio, reason)


@app.command()
def resume(portfolio: Name = None, reason: Reason = "resumed by hand") -> None:
    """Trade again."""
    _set("ACTIVE", portfolio, reason)


def _set(state: str, portfolio: str | None, reason: str) -> None:
    from alphamill.bootstrap import wiring
    from alphamill.cli.console import find_portfolio, out
    from alphamill.cli.runtime import settings_with
    from alphamill.domain.decisions import TradingState

    settings = settings_with()
    spec, parts = find_portfolio(settings, portfolio), wiring(settings)
    ledger = _existing(parts, spec.name)
    before = ledger.record(spec.name).state
    ledger.set_state(spec.name, TradingState(state), reason, parts.clock().now())
    out().print(f"{spec.name}: {_word(before)} -> {_word(ledger.record(spec.name).state)}  ({reason})")


def _existing(parts: "Wiring", portfolio: str) -> "Books":
    """A ledger that trades this portfolio: halting one that nobody trades would be a false comfort."""
    _require_known(parts, portfolio)
    return parts.ledger()


def _require_known(parts: "Wiring", portfolio: str) -> None:
    from alphamill.secret_url import masked

    known = [record.name for record in parts.history().records()]
    if portfolio not in known:
        ledger = masked(parts.settings.ledger_url)
        raise NotFound(
            f"the ledger {ledger} knows no portfolio {portfolio!r}, only {', '.join(known) or 'none'}.",
            field="ALPHAMILL_HOME",
            remedy="Name the home it trades in, e.g. ALPHAMILL_HOME=.alphamill/demo for the demo's.",
        )


def orders_table(orders: "Sequence[Order]", *, why: bool) -> "Table":
    """One line an order; without `why` it fits 80 columns, and `alphamill explain` says the reason."""
    from rich.table import Table

    table = Table()
    for name in ("decided", "order", "what", "status", *(("why",) if why else ())):
        # Half an id is of no use to `alphamill explain`.
        table.add_column(name, no_wrap=name != "why", min_width=10 if name == "decided" else None)
    for o in orders:
        table.add_row(f"{o.decided_at:%Y-%m-%d}", o.id, _what(o), o.status.value, *((o.reason,) if why else ()))
    return table


def _what(order: "Order") -> str:
    """What is traded, and how much of it has filled where that is a part."""
    part = f" ({order.filled_quantity:f} filled)" if 0 < order.filled_quantity < order.quantity else ""
    return f"{order.side.value} {order.quantity:f} {order.symbol}{part}"


def _word(state: "TradingState") -> str:
    colour = {"ACTIVE": "green", "REDUCING": "yellow", "HALTED": "red"}[state.value]
    return f"[{colour}]{state.value}[/]"


def record_table(record: "PortfolioRecord", spec: "PortfolioSpec | None" = None) -> "Table":
    """One line per fact; with the `spec` also which of its symbols stop trading."""
    from rich.table import Table

    drawdown_pct = 100 * (1 - record.nav_usd / record.peak_nav_usd) if record.peak_nav_usd else 0
    held = [f"{p.symbol} {p.quantity:f} @ {p.average_price:,.2f}" for p in record.positions.values() if p.quantity]
    table = Table("portfolio", record.name)
    for name, value in {
        "state": _word(record.state) + (f" ({record.state_reason})" if record.state_reason else ""),
        "NAV": f"{record.nav_usd:,.2f} USD",
        "cash": f"{record.cash_usd:,.2f} USD",
        "drawdown": f"{drawdown_pct:.2f} % from {record.peak_nav_usd:,.2f}",
        "positions": "\n".join(held) or "none",
        "open orders": "\n".join(f"{_what(o)}  {o.id}" for o in record.open_orders) or "none",
        "last decision": str(record.last_decision_at or "never"),
        "last settled": str(record.last_settled_at or "never"),
        "model": record.model_version or "none",
    }.items():
        table.add_row(name, value)
    for symbol, delisting in spec.universe.delistings.items() if spec else ():
        cash = delisting.cash_per_share_usd
        pays = "its last close" if cash is None else f"{cash:f} USD a share"
        table.add_row("delisted", f"{symbol} after {delisting.last_session}, paid out at {pays}")
    return table
