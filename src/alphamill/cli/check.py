"""`alphamill check`: the promises, proved by running the product's own code."""

from typing import TYPE_CHECKING, Annotated

import typer

from alphamill.cli.runtime import PortfolioFile, settings_with
from alphamill.cli.stages import Feed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from alphamill.evaluation.lookahead import Finding
    from alphamill.proofs.lookahead_controls import Outcome

app = typer.Typer(help="Prove that nothing looks ahead, and that learning learns what is there.", no_args_is_help=True)

Cuts = Annotated[int, typer.Option("--cuts", "-n", min=2, help="At how many times history is cut.")]
CheckSeed = Annotated[int, typer.Option("--seed", help="Seed of cuts, of the prices put after them, and of fits.")]


@app.callback()
def group() -> None:
    """Prove that nothing looks ahead, and that learning learns what is there."""


@app.command()
def lookahead(
    feed: Feed = "sample",
    cuts: Cuts = 24,
    seed: CheckSeed = 0,
    portfolio: PortfolioFile = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="Check the check: planted leaks must be caught, clean twins must pass.")
    ] = False,
) -> None:
    """Recompute features, labels, fits, decisions and fills on truncated and on perturbed history, and compare.

    Each feature, your own included, each label, scaling statistic, forecast, signal, target weight and order must
    be the same, to the last bit, whatever the bars after it are. Exit code 1 when one is not.
    """
    from alphamill.cli.console import out

    settings = settings_with(portfolio)
    if controls:
        from alphamill.proofs.lookahead_controls import run_controls

        outcomes = run_controls(seed)
        out().print(controls_table(outcomes))
        holds = all(outcome.caught and outcome.passes for outcome in outcomes)
    else:
        from alphamill.bootstrap import wiring
        from alphamill.proofs.lookahead import check_lookahead, feed_bars

        parts = wiring(settings)
        spec = parts.portfolios()[0]
        bars = feed_bars(parts.feed(feed), spec.universe.calendar, parts.clock().now())
        with out().status("checking") as status:
            findings = check_lookahead(
                settings, spec, bars, cuts=cuts, seed=seed, tell=lambda what: status.update(f"checking {what}")
            )
        out().print(findings_table(findings))
        if any(finding.worst for finding in findings):
            out().print(differences_table(findings))
        out().print(verdict(findings))
        holds = all(finding.holds for finding in findings)
    if not holds:
        raise typer.Exit(1)


@app.command()
def learning(
    markets: Annotated[
        int, typer.Option("--markets", "-n", min=1, max=50, help="Synthetic markets per strength of the signal.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the markets and of the fits.")] = 0,
) -> None:
    """Train on synthetic markets whose signal is known, and compare what is learned with what is there.

    The recovered IC must hold the known one in its confidence band at every strength, shuffled labels must give no
    IC, and predicted intervals and confidences must mean what they say. Then real models, leaked ones among them,
    are put before the gate. Exit code 1 when anything is not as it must be.
    """
    from alphamill.cli.console import out
    from alphamill.cli.learning_tables import confidence_table, gate_table, outcome, recovery_table
    from alphamill.proofs.learning import check_learning

    with out().status("importing") as status:
        checked = check_learning(markets=markets, seed=seed, tell=lambda what: status.update(f"checking {what}"))
    out().print(recovery_table(checked))
    out().print(confidence_table(checked))
    out().print(gate_table(checked))
    out().print(outcome(checked))
    if not checked.holds:
        raise typer.Exit(1)


def findings_table(findings: "Sequence[Finding]") -> "Table":
    from rich.table import Table

    table = Table(title="The same values with and without later bars")
    for name in ("what", "name"):
        table.add_column(name, no_wrap=True)
    for name in ("cuts", "compared", "differing"):
        table.add_column(name, justify="right", no_wrap=True)
    for f in findings:
        colour = "green" if f.holds else "red"
        table.add_row(f.kind, f.name, str(f.cuts or ""), f"{f.compared:,}", f"[{colour}]{f.differing:,}[/]")
    return table


def differences_table(findings: "Sequence[Finding]") -> "Table":
    """The worst difference of each line that does not hold, with symbol and time, whole in 80 columns."""
    from rich.table import Table

    table = Table("what", "name", "worst difference", title="What looks ahead")
    for f in findings:
        if f.worst:
            table.add_row(f.kind, f.name, str(f.worst))
    return table


def verdict(findings: "Sequence[Finding]") -> str:
    compared, differing = sum(f.compared for f in findings), sum(f.differing for f in findings)
    empty = [f"{f.kind} {f.name}" for f in findings if not f.compared]
    if differing:
        return f"[red]look-ahead[/]: {differing:,} of {compared:,} values differ"
    if empty:
        return f"[red]not proved[/]: nothing to compare for {', '.join(empty)}; give a longer history"
    return f"[green]no look-ahead[/]: {compared:,} values compared, 0 differ"


def controls_table(outcomes: "Sequence[Outcome]") -> "Table":
    from rich.table import Table

    table = Table("planted leak", "leak", "clean twin", "what gave it away", title="The check, checked")
    for o in outcomes:
        caught = "[green]caught[/]" if o.caught else "[red]MISSED[/]"
        passes = "[green]passes[/]" if o.passes else "[red]REFUSED[/]"
        table.add_row(o.name, caught, passes, o.worst)
    return table
