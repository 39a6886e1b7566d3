"""Step 6: walk-forward backtests of the model, the champion and the baselines, by the trader that trades."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from alphamill.domain.bars import data_version
from alphamill.domain.models import ModelVersion
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.baselines import (
    EQUAL_WEIGHT,
    LINEAR,
    MOMENTUM,
    MOMENTUM_FEATURE,
    baseline_specs,
    momentum_panel,
)
from alphamill.evaluation.lookahead import Audit
from alphamill.evaluation.performance import Performance
from alphamill.evaluation.summary import MODEL, EvaluationSummary
from alphamill.features import compute
from alphamill.ports import Wiring
from alphamill.proofs.training_audit import audit_training
from alphamill.settings import Settings
from alphamill.steps.backtest_runs import BacktestJob, BacktestRun, Ground, run_backtests
from alphamill.steps.run_folder import (
    CHAMPION,
    CHAMPION_SUMMARY,
    PANEL,
    SUMMARY,
    WEIGHTS,
    load_dataset,
    nav_file,
    run_folder,
)
from alphamill.steps.step import begin, finish
from alphamill.training import Dataset, ModelParams, parse_params, walk_forward_forecasts
from alphamill.training.windows import evaluation_windows


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A configuration to be measured, and what is known of it."""

    name: str
    params: ModelParams
    run_id: str
    trials: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Lab:
    """The data of this run."""

    parts: Wiring
    spec: PortfolioSpec
    ground: Ground
    dataset: Dataset
    audit: Audit

    def panel(self, params: ModelParams, seed: int) -> pl.DataFrame:
        """Out-of-sample forecasts of one configuration, refitted for every window."""
        return walk_forward_forecasts(self.dataset, params, evaluation_windows(self.dataset), seed)

    def momentum(self, panel: pl.DataFrame) -> pl.DataFrame:
        """12-1 momentum on the model's days, with the same labels."""
        forecasts = momentum_panel(self.ground.features.select("symbol", "ts", MOMENTUM_FEATURE))
        return forecasts.join(panel.select("symbol", "ts", "label"), on=["symbol", "ts"], how="inner", validate="1:1")

    def summary(
        self,
        candidate: _Candidate,
        panel: pl.DataFrame,
        earned: Performance,
        baselines: Mapping[str, Performance],
        baseline_panels: Mapping[str, pl.DataFrame],
    ) -> EvaluationSummary:
        return EvaluationSummary.of(
            model_name=candidate.name,
            architecture=candidate.params.architecture,
            features=self.dataset.features,
            horizon_bars=self.dataset.horizon_bars,
            data_version=self.ground.data_version,
            trials=candidate.trials,
            panel=panel,
            performance=earned,
            baselines=baselines,
            baseline_panels=baseline_panels,
            lookahead=self.audit,
            run_id=candidate.run_id,
        )


def backtest_model(
    run_id: str,
    params: str,
    trials: int,
    bars_version: int,
    features_version: int,
    training_version: int,
    horizon_bars: int,
    seed: int,
    *,
    settings: Settings | None = None,
) -> str:
    """Evaluate out of sample and write the summaries and equity curves into the run's folder.

    Returns
    -------
    Path of summary.json (an `EvaluationSummary`).
    """
    parts = begin("evaluate", "looking for look-ahead", settings)
    bars = parts.bars().read(version=bars_version)
    features = parts.lake().read("features", features_version)
    dataset = load_dataset(parts, training_version, bars_version, horizon_bars)
    audit = audit_training(
        bars, dataset, lambda known, _: compute(known, dataset.features), horizon_bars=horizon_bars, seed=seed
    )
    parts.progress()("evaluate", 0, 1, "walk-forward forecasts")
    ground = Ground(bars, features, data_version(bars_version))
    lab = _Lab(parts, parts.portfolios()[0], ground, dataset, audit)
    folder = run_folder(parts.settings, run_id)
    chosen = _Candidate(parts.settings.model_name, parse_params(json.loads(params)), run_id, trials, seed)
    summary = _evaluate(lab, folder, chosen, _champion(folder))
    earned, rank_ic = summary.performance, summary.forecast.rank_ic.mean
    finish(parts, "evaluate", f"RankIC {rank_ic or 0:+.3f}, Sharpe {earned.sharpe or 0:.2f}")
    return str(folder / SUMMARY)


def _evaluate(lab: _Lab, folder: Path, chosen: _Candidate, champion: _Candidate | None) -> EvaluationSummary:
    panel = lab.panel(chosen.params, chosen.seed)
    linear = lab.panel(ModelParams(architecture=LINEAR), chosen.seed)
    panels = {LINEAR: linear, MOMENTUM: lab.momentum(panel)}
    names, twins = lab.dataset.features, baseline_specs(lab.spec)
    jobs = {
        MODEL: BacktestJob(lab.spec, panel, names),
        LINEAR: BacktestJob(lab.spec, linear, names),
        EQUAL_WEIGHT: BacktestJob(twins[EQUAL_WEIGHT], panel, names),
        MOMENTUM: BacktestJob(twins[MOMENTUM], panels[MOMENTUM], (MOMENTUM_FEATURE,)),
    }
    if champion:
        facing = lab.panel(champion.params, champion.seed)
        jobs[CHAMPION] = BacktestJob(lab.spec, facing, names)
    runs = run_backtests(lab.parts, lab.ground, jobs)
    if champion:
        measured = lab.summary(champion, facing, runs.pop(CHAMPION).performance, {}, {})
        (folder / CHAMPION_SUMMARY).write_text(measured.model_dump_json(indent=2))
    _keep(folder, panel, runs)
    baselines = {name: run.performance for name, run in runs.items() if name != MODEL}
    summary = lab.summary(chosen, panel, runs[MODEL].performance, baselines, panels)
    (folder / SUMMARY).write_text(summary.model_dump_json(indent=2))
    return summary


def _champion(folder: Path) -> _Candidate | None:
    """The champion's configuration and seed, measured on the same windows, so that the gate compares like with like.

    Another seed would be another model: it moves a Sharpe ratio by tenths.
    """
    if not (folder / CHAMPION).exists():
        return None
    card = ModelVersion.model_validate_json((folder / CHAMPION).read_text()).card
    return _Candidate(card.name, parse_params(card.configuration), card.run_id, card.trials, card.seed)


def _keep(folder: Path, panel: pl.DataFrame, runs: Mapping[str, BacktestRun]) -> None:
    panel.write_parquet(folder / PANEL)
    runs[MODEL].weights.write_parquet(folder / WEIGHTS)
    for name, run in runs.items():
        run.nav.write_parquet(nav_file(folder, name))
