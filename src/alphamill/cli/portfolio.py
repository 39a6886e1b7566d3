"""`alphamill portfolio`: look at a portfolio and stop it. Needs the ledger and nothing else."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from alphamill.domain.decisions import TradingState
    from alphamill.domain.ledger import PortfolioRecord

app = typer.Typer(help="Show a portfolio, halt it, let it only reduce, or resume it.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option("--portfolio", "-p", help="Name of the portfolio; default: the only one.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is kept in the ledger.")]


@app.command()
def status(portfolio: Name = None) -> None:
    """State, NAV, drawdown, positions, open orders and the last decision."""
    from alphamill.adapters.sql import SqlLedger
    from alphamill.cli.console import find_portfolio, out
    from alphamill.settings import load_settings

    settings = load_settings()
    out().print(record_table(SqlLedger(settings.ledger_url).load(find_portfolio(settings, portfolio))))


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
    from alphamill.adapters.sql import SqlLedger
    from alphamill.cli.console import find_portfolio, out
    from alphamill.domain.decisions import TradingState
    from alphamill.settings import load_settings

    settings = load_settings()
    spec = find_portfolio(settings, portfolio)
    ledger = SqlLedger(settings.ledger_url)
    before = ledger.load(spec).state
    ledger.set_state(spec.name, TradingState(state), reason, dt.datetime.now(dt.UTC))
    out().print(f"{spec.name}: {_word(before)} -> {_word(ledger.load(spec).state)}  ({reason})")


def _word(state: "TradingState") -> str:
    colour = {"ACTIVE": "green", "REDUCING": "yellow", "HALTED": "red"}[state.value]
    return f"[{colour}]{state.value}[/]"


def record_table(record: "PortfolioRecord") -> "Table":
    from rich.table import Table

    drawdown_pct = 100 * (1 - record.nav_usd / record.peak_nav_usd) if record.peak_nav_usd else 0
    held = [f"{p.symbol} {p.quantity:f} @ {p.average_price:,.2f}" for p in record.positions.values() if p.quantity]
    table = Table("portfolio", record.name)
    for name, value in {
        "state": f"{_word(record.state)} {record.state_reason}".strip(),
        "NAV": f"{record.nav_usd:,.2f} USD",
        "cash": f"{record.cash_usd:,.2f} USD",
        "drawdown": f"{drawdown_pct:.2f} % from {record.peak_nav_usd:,.2f}",
        "positions": "\n".join(held) or "none",
        "open orders": "\n".join(f"{o.side.value} {o.quantity:f} {o.symbol}  {o.id}" for o in record.open_orders)
        or "none",
        "last decision": str(record.last_decision_at or "never"),
        "last settled": str(record.last_settled_at or "never"),
        "model": record.model_version or "none",
    }.items():
        table.add_row(name, value)
    return table
