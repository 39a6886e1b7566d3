"""The main job behind `alphamill demo`, stage by stage."""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from alphamill import environment
from alphamill.bootstrap import supervisor, wiring
from alphamill.cli.jobs import refresh_features, train_and_deploy
from alphamill.cli.portfolio import record_table
from alphamill.cli.progress import StageProgress
from alphamill.cli.replaying import replay_bars, split_sessions, start_replay
from alphamill.cli.trading import comparison
from alphamill.domain.ledger import PortfolioRecord
from alphamill.domain.orders import Order
from alphamill.evaluation.gate import GateVerdict
from alphamill.evaluation.parity import Parity
from alphamill.evaluation.report import headline
from alphamill.evaluation.summary import EvaluationSummary
from alphamill.ports import Wiring
from alphamill.proofs.parity import check_parity
from alphamill.runtimes.embedded import Runtime
from alphamill.settings import Settings
from alphamill.steps.run_folder import VERDICT, read_navs
from alphamill.steps.write_report import write_report

#: Below the home of the settings; each demo starts with it empty.
DEMO_HOME = "demo"


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the stages gave."""

    trained: dict[str, Any]
    record: PortfolioRecord
    orders: list[Order]
    parity: Parity
    report: Path
    url: str


def run_demo(settings: Settings, *, feed: str, sessions: int, trials: int, seed: int, keep: bool) -> None:
    """Run all stages on an empty home of its own and print the summary; with `keep` wait for Ctrl-C at the end."""
    console = Console()
    alone = settings.model_copy(update={"home": settings.home.resolve() / DEMO_HOME})
    with supervisor(alone, fresh=True) as runtime:
        progress = runtime.home / "progress.jsonl"
        progress.unlink(missing_ok=True)
        told = environment.variables({environment.PROGRESS_FILE: str(progress)})
        with told, StageProgress(progress, console=console):  # steps and this process report to the same file
            result = _stages(runtime, progress, feed=feed, sessions=sessions, trials=trials, seed=seed)
        _summarise(console, result, runtime.home)
        if keep:
            _wait(console, result)


def _stages(runtime: Runtime, progress: Path, *, feed: str, sessions: int, trials: int, seed: int) -> DemoResult:
    parts = wiring(runtime.settings)
    spec, report_progress = parts.portfolios()[0], parts.progress()
    cut, ahead = split_sessions(parts.feed(feed).read(), sessions)
    horizon = spec.model.horizon_bars
    versions = refresh_features(parts, progress, feed=feed, until=str(cut), horizon_bars=horizon)
    trained = train_and_deploy(parts, progress, versions, horizon_bars=horizon, trials=trials, seed=seed)
    if not trained["url"]:
        _deploy_old_champion(parts)
    report_progress("trade", 0, sessions, "starting gateway and trader")
    url = start_replay(runtime)
    books = parts.ledger()
    replay_bars(
        url,
        ahead,
        spec,
        books,
        lambda done, total: report_progress("trade", done, total, f"session {done} of {total}"),
    )
    report_progress("report", 0, 1, "backtesting the same sessions")
    model_dir = runtime.home / "models" / parts.model_server().deployment(parts.settings.model_name).model_id
    parity = check_parity(parts, spec, model_dir)
    report = write_report(parts, trained["run_id"], parity=parity)
    report_progress("report", 1, 1, _parity_sentence(parity))
    return DemoResult(trained, books.record(spec.name), books.orders(spec.name), parity, report, url)


def _parity_sentence(parity: Parity) -> str:
    compared = f"{parity.orders} orders, {parity.fills} fills, {parity.nav_points} NAV points"
    return f"live equals backtest: {compared}" if parity.holds else f"live DIFFERS from backtest: {compared}"


def _deploy_old_champion(parts: Wiring) -> None:
    """The gate refused the new model: the one that it did not beat goes on trading."""
    report_progress, name = parts.progress(), parts.settings.model_name
    report_progress("deploy", 0, 1, "the champion stays")
    deployment = parts.model_server().deploy(parts.registry().get(name, "champion"), name)
    report_progress("deploy", 1, 1, f"{deployment.model_id} stays, at {deployment.url}")


def _summarise(console: Console, result: DemoResult, home: Path) -> None:
    path = Path(result.trained["summary_path"])
    summary = EvaluationSummary.model_validate_json(path.read_text())
    verdict = GateVerdict.model_validate_json((path.parent / VERDICT).read_text())
    console.print(comparison(summary))
    console.print(f"[bold]verdict[/] {headline(summary, read_navs(path.parent))}")
    console.print(f"[bold]gate[/]    {result.trained['model_id']}: {verdict.summary}")
    console.print(record_table(result.record))
    console.print(f"[bold]parity[/]  {_parity_sentence(result.parity)}")
    for difference in result.parity.differences[:5]:
        console.print(f"        {difference}", markup=False)
    console.print(f"[bold]report[/]  {result.report}", soft_wrap=True)
    if result.orders:
        command = f"{environment.HOME}={_shown(home)} .venv/bin/alphamill explain {result.orders[-1].id}"
        console.print(f"[bold]explain[/] {command}", soft_wrap=True)


def _shown(path: Path) -> Path:
    """Relative to where the user stands, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _wait(console: Console, result: DemoResult) -> None:
    console.print("The services stay up until Ctrl-C.", f"API     {result.url}/docs", sep="\n", soft_wrap=True)
    console.print(f"report  file://{result.report}", soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()
