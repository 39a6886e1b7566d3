"""`alphamill ingest | features | train`: the stages before trading."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphamill import environment
from alphamill.cli.runtime import PortfolioFile, services, settings_with

if TYPE_CHECKING:
    from alphamill.settings import Settings


def _absolute(feed: str) -> str:
    """Steps run as processes of their own; a folder must mean the same to them."""
    return feed if feed == "sample" else str(Path(feed).resolve())


Feed = Annotated[
    str,
    typer.Option(
        "--feed",
        "-f",
        callback=_absolute,
        help="'sample' (bundled), or a folder of CSV or Parquet files with daily bars.",
    ),
]
Until = Annotated[str, typer.Option("--until", help="Last session to take, as YYYY-MM-DD; default: all.")]
Trials = Annotated[int, typer.Option("--trials", min=1, help="Configurations to try.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of search and training: the same seed, the same model.")]


def register(app: typer.Typer) -> None:
    for command in (ingest, features, train):
        app.command()(command)


@contextlib.contextmanager
def shown(settings: "Settings", *stages: str) -> Iterator[None]:
    """What steps of this process report, on the terminal."""
    from alphamill.cli.progress import StageProgress

    progress = settings.home.resolve() / "progress.jsonl"
    progress.parent.mkdir(parents=True, exist_ok=True)
    progress.unlink(missing_ok=True)
    told = environment.variables({environment.PROGRESS_FILE: str(progress)})
    with told, StageProgress(progress, stages=stages):
        yield


def ingest(feed: Feed = "sample", until: Until = "", portfolio: PortfolioFile = None) -> None:
    """Read a feed, validate its bars and merge them into the bars table.

    The same bars again change nothing; a corrected bar makes a new version.
    """
    from alphamill.cli.console import out
    from alphamill.steps.ingest_bars import ingest_bars
    from alphamill.steps.run_folder import VALIDATION
    from alphamill.steps.validate_bars import validate_bars

    settings = settings_with(portfolio)
    report = settings.home.resolve() / "reports" / VALIDATION
    with shown(settings, "ingest", "validate"):
        landing = ingest_bars(feed, until, settings=settings)
        version = validate_bars(landing, str(report), settings=settings)
    out().print(f"bars version {version} (landing version {landing}); what was found: {report}", soft_wrap=True)


def features(
    bars_version: Annotated[int, typer.Option("--bars-version", help="Version of the bars table; -1: newest.")] = -1,
    portfolio: PortfolioFile = None,
) -> None:
    """Compute every feature and load the feature store, offline and online."""
    from alphamill.cli.console import out
    from alphamill.steps.build_features import build_features
    from alphamill.steps.materialize_features import materialize_features

    with services(settings_with(portfolio)) as parts:
        settings = parts.settings
        version = bars_version if bars_version >= 0 else parts.bars().version()
        with shown(settings, "features", "materialize"):
            built = build_features(version, settings=settings)
            horizon = parts.portfolios()[0].model.horizon_bars
            training = materialize_features(version, built, horizon, settings=settings)
    out().print(f"features version {built}, training version {training}, from bars version {version}")


def train(
    feed: Feed = "sample",
    until: Until = "",
    trials: Trials = 8,
    seed: Seed = 0,
    portfolio: PortfolioFile = None,
) -> None:
    """Run both pipelines on this machine: features, then search, train, judge, register and deploy.

    A deployed forecaster ends with this command; `alphamill serve forecaster` serves the champion for longer.
    """
    from alphamill.cli.console import out
    from alphamill.cli.jobs import REFRESH_STAGES, TRAIN_STAGES, refresh_features, train_and_deploy
    from alphamill.cli.progress import StageProgress

    with services(settings_with(portfolio)) as parts:
        horizon = parts.portfolios()[0].model.horizon_bars
        progress = parts.settings.home.resolve() / "progress.jsonl"
        progress.unlink(missing_ok=True)
        with StageProgress(progress, stages=REFRESH_STAGES + TRAIN_STAGES):
            versions = refresh_features(parts, progress, feed=feed, until=until, horizon_bars=horizon)
            done = train_and_deploy(parts, progress, versions, horizon_bars=horizon, trials=trials, seed=seed)
    verdict = "[green]accepted[/], the champion now" if done["accepted"] else "[yellow]refused[/], the champion stays"
    out().print(f"{done['model_id']}: {verdict}\ngate    {said_by_gate(done['summary_path'])}")
    out().print(f"run     {done['run_id']}\nsummary {done['summary_path']}", soft_wrap=True)


def said_by_gate(summary_path: str) -> str:
    """The gate's own sentence about the run that wrote this summary."""
    from alphamill.evaluation.gate import GateVerdict
    from alphamill.steps.run_folder import VERDICT

    return GateVerdict.model_validate_json(Path(summary_path).with_name(VERDICT).read_text()).summary
