"""`alphamill doctor`: what is missing or misconfigured, and how to mend it."""

import typer


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor() -> None:
    """Say what is missing or misconfigured and how to mend it; exit code 1 if anything is."""
    from rich.table import Table

    from alphamill.cli.checks import CHECKS, Health
    from alphamill.cli.console import out
    from alphamill.extensions import load_extensions
    from alphamill.settings import read_settings

    settings = read_settings()
    load_extensions(settings.extensions)
    marks = {Health.OK: "[green]ok[/]", Health.WARNING: "[yellow]look[/]", Health.ERROR: "[red]mend[/]"}
    table = Table("check", "")
    for name in ("found", "remedy"):
        table.add_column(name, overflow="fold")  # a path that is cut off is of no use
    findings = [check(settings) for check in CHECKS]
    for finding in findings:
        table.add_row(finding.check, marks[finding.health], finding.detail, finding.remedy)
    out().print(table)
    if any(finding.health is Health.ERROR for finding in findings):
        raise typer.Exit(1)
