"""`alphamill backtest | replay`: the trader over history, in memory or through the live path."""

from typing import TYPE_CHECKING, Annotated

import typer

from alphamill.cli.runtime import PortfolioFile, settings_with
from alphamill.cli.stages import shown

if TYPE_CHECKING:
    from rich.table import Table

    from alphamill.evaluation.summary import EvaluationSummary

Model = Annotated[str, typer.Option("--model", "-m", help="Version number or alias in the registry.")]


def register(app: typer.Typer) -> None:
    for command in (backtest, replay):
        app.command()(command)


def backtest(
    model: Model = "champion",
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of training; default: the model's own.")] = None,
    portfolio: PortfolioFile = None,
) -> None:
    """Walk forward over the newest tables with a registered model's configuration, beside the baselines."""
    import json
    from pathlib import Path

    from alphamill.bootstrap import wiring
    from alphamill.cli.console import out
    from alphamill.evaluation.summary import EvaluationSummary
    from alphamill.steps.backtest_model import backtest_model

    settings = settings_with(portfolio)
    parts = wiring(settings)
    card = parts.registry().get(settings.model_name, model).card
    params, seed = json.dumps(card.configuration), card.seed if seed is None else seed
    lake = parts.lake()
    tables = lake.version("bars"), lake.version("features"), lake.version("training")
    run = f"backtest-{parts.clock().now():%Y%m%dT%H%M%S}"
    with shown(settings, "evaluate"):
        path = Path(backtest_model(run, params, card.trials, *tables, card.horizon_bars, seed, settings=settings))
    out().print(comparison(EvaluationSummary.model_validate_json(path.read_text())))
    out().print(f"summary {path}", soft_wrap=True)


def replay(
    sessions: Annotated[int, typer.Option("--sessions", "-n", min=1, help="How many of the newest to replay.")] = 60,
    model: Model = "champion",
    portfolio: PortfolioFile = None,
) -> None:
    """Replay the newest stored sessions bar by bar through the live path, in a home of its own.

    Nothing of the real ledger is touched. A model that was trained on these sessions has seen them: replay
    shows how the parts work together, not what the model is worth.
    """
    from alphamill.cli.console import out
    from alphamill.cli.portfolio import record_table
    from alphamill.cli.scratch import replay_in_scratch

    record, home = replay_in_scratch(settings_with(portfolio), sessions, model)
    out().print(record_table(record))
    out().print(f"its orders: ALPHAMILL_HOME={home} .venv/bin/alphamill portfolio orders", soft_wrap=True)


def comparison(summary: "EvaluationSummary") -> "Table":
    """The model beside the baselines: same days, same costs. One measure a row, so that 80 columns are enough."""
    from rich.table import Table

    from alphamill.evaluation.summary_table import summary_table

    names, *measures = zip(*summary_table(summary), strict=True)
    table = Table(title="Out of sample, after costs")
    for name in names:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for measure in measures:
        table.add_row(*measure)
    return table
