"""`alphamill demo`: the whole loop, market data to orders, on this machine."""

from typing import Annotated

import typer

from alphamill.cli.runtime import PortfolioFile, settings_with
from alphamill.cli.stages import Feed, Seed, Trials


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the services up afterwards, until Ctrl-C.")] = False,
    feed: Feed = "sample",
    sessions: Annotated[int, typer.Option("--sessions", "-n", min=1, help="Newest sessions to trade.")] = 60,
    trials: Trials = 8,
    seed: Seed = 0,
    portfolio: PortfolioFile = None,
) -> None:
    """Run every stage: ingest, validate, features, materialize, train, evaluate, register, deploy, trade.

    The model learns from all sessions but the newest, and the trader trades those, bar by bar, through the HTTP
    door. Ends with a summary and the path of a report.
    """
    from alphamill.cli.mainjob import run_demo

    run_demo(settings_with(portfolio), feed=feed, sessions=sessions, trials=trials, seed=seed, keep=keep)
