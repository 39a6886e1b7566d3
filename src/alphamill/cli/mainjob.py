"""The main job behind `alphamill demo`, stage by stage."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from alphamill.adapters.progress import report_progress
from alphamill.bootstrap import ledger, market_feed, model_registry, model_server, portfolios
from alphamill.cli.jobs import refresh_features, train_and_deploy
from alphamill.cli.portfolio import record_table
from alphamill.cli.progress import StageProgress
from alphamill.cli.replaying import replay_bars, split_sessions, start_controller
from alphamill.cli.trading import comparison
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.progress import PROGRESS_FILE
from alphamill.embedded import Runtime
from alphamill.evaluation.gate import GateVerdict
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.settings import Settings
from alphamill.steps.run_folder import VERDICT


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the stages gave."""

    trained: dict[str, Any]
    record: PortfolioRecord
    url: str


def run_demo(settings: Settings, *, feed: str, sessions: int, trials: int, seed: int, keep: bool) -> None:
    """Run all stages in a runtime of its own and print the summary; with `keep` wait for Ctrl-C at the end."""
    console = Console()
    with Runtime(settings) as runtime:
        progress = runtime.home / "progress.jsonl"
        progress.unlink(missing_ok=True)
        os.environ[PROGRESS_FILE] = str(progress)  # steps and this process report to the same file
        with StageProgress(progress, console=console):
            result = _stages(runtime, progress, feed=feed, sessions=sessions, trials=trials, seed=seed)
        _summarise(console, result)
        if keep:
            _wait(console, result.url)


def _stages(runtime: Runtime, progress: Path, *, feed: str, sessions: int, trials: int, seed: int) -> DemoResult:
    settings = runtime.settings
    spec = portfolios(settings)[0]
    cut, ahead = split_sessions(market_feed(feed).read(), sessions)
    horizon = spec.model.horizon_bars
    versions = refresh_features(settings, progress, feed=feed, until=str(cut), horizon_bars=horizon)
    trained = train_and_deploy(settings, progress, versions, horizon_bars=horizon, trials=trials, seed=seed)
    if not trained["url"]:
        _deploy_old_champion(settings)
    report_progress("trade", 0, sessions, "starting the controller")
    _, url = start_controller(runtime)
    books = ledger(settings)
    replay_bars(
        url,
        ahead,
        spec,
        books,
        lambda done, total: report_progress("trade", done, total, f"session {done} of {total}"),
    )
    return DemoResult(trained, books.load(spec), url)


def _deploy_old_champion(settings: Settings) -> None:
    """The gate refused the new model: the one that it did not beat goes on trading."""
    report_progress("deploy", 0, 1, "the champion stays")
    champion = model_registry(settings).get(settings.model_name, "champion")
    deployment = model_server(settings).deploy(champion, settings.model_name)
    report_progress("deploy", 1, 1, f"{deployment.model_id} stays, at {deployment.url}")


def _summarise(console: Console, result: DemoResult) -> None:
    path = Path(result.trained["summary_path"])
    summary = EvaluationSummary.model_validate_json(path.read_text())
    verdict = GateVerdict.model_validate_json((path.parent / VERDICT).read_text())
    console.print(comparison(summary))
    console.print(f"[bold]gate[/] {result.trained['model_id']}: {verdict.summary}")
    console.print(record_table(result.record))


def _wait(console: Console, url: str) -> None:
    console.print(f"The services stay up until Ctrl-C.\nAPI    {url}/docs", soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()
