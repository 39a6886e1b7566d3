"""Step 6: walk-forward backtests of the model, the champion and the baselines, by the controller that trades."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from alphamill.adapters.delta import read_frame
from alphamill.adapters.forecast_table import ForecastTable
from alphamill.adapters.progress import report_progress
from alphamill.bootstrap import backtest_parts, bar_store, portfolios, table_uri
from alphamill.domain.forecasts import ModelSignature
from alphamill.domain.models import ModelVersion
from alphamill.domain.portfolios import PortfolioSpec
from alphamill.evaluation.backtest import BacktestResult, run_backtest
from alphamill.evaluation.baselines import (
    EQUAL_WEIGHT,
    LINEAR,
    MOMENTUM,
    MOMENTUM_FEATURE,
    baseline_specs,
    momentum_panel,
)
from alphamill.evaluation.performance import Performance, performance
from alphamill.evaluation.summary import MODEL, EvaluationSummary
from alphamill.settings import Settings
from alphamill.steps.run_folder import CHAMPION, CHAMPION_SUMMARY, SUMMARY, WEIGHTS, load_dataset, nav_file, run_folder
from alphamill.steps.step import begin, data_version, finish
from alphamill.steps.windows import evaluation_windows
from alphamill.training import Dataset, ModelParams, parse_params, walk_forward_forecasts


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every backtest of this run shares, so that rows of the table compare."""

    settings: Settings
    spec: PortfolioSpec
    bars: pl.DataFrame
    features: pl.DataFrame
    dataset: Dataset
    version: str
    seed: int

    def panel(self, params: ModelParams) -> pl.DataFrame:
        """Out-of-sample forecasts of one configuration, refitted for every window."""
        return walk_forward_forecasts(self.dataset, params, evaluation_windows(self.dataset), self.seed)


def backtest_model(
    run_id: str, params: str, trials: int, bars_version: int, features_version: int, training_version: int,
    horizon_bars: int, seed: int,
) -> str:  # fmt: skip
    """Evaluate out of sample and write the summaries and equity curves into the run's folder.

    Returns
    -------
    Path of summary.json (an `EvaluationSummary`).
    """
    settings = begin("evaluate", "walk-forward forecasts")
    ground = _Ground(
        settings,
        portfolios(settings)[0],
        bar_store(settings).read(version=bars_version),
        read_frame(table_uri(settings, "features"), features_version),
        load_dataset(settings, training_version, bars_version, horizon_bars),
        data_version(bars_version),
        seed,
    )
    folder = run_folder(settings, run_id)
    chosen = parse_params(json.loads(params))
    summary = _evaluate(ground, folder, run_id, chosen, trials)
    _evaluate_champion(ground, folder)
    finish(
        "evaluate", f"RankIC {summary.forecast.rank_ic.mean or 0:+.3f}, Sharpe {summary.performance.sharpe or 0:.2f}"
    )
    return str(folder / SUMMARY)


def _evaluate(ground: _Ground, folder: Path, run_id: str, chosen: ModelParams, trials: int) -> EvaluationSummary:
    panel, linear = ground.panel(chosen), ground.panel(ModelParams(architecture=LINEAR))
    panel.write_parquet(folder / "panel.parquet")
    momentum = _momentum(ground, panel)
    twins = baseline_specs(ground.spec)
    runs = {
        MODEL: (ground.spec, panel, ground.dataset.features),
        LINEAR: (ground.spec, linear, ground.dataset.features),
        EQUAL_WEIGHT: (twins[EQUAL_WEIGHT], panel, ground.dataset.features),
        MOMENTUM: (twins[MOMENTUM], momentum, (MOMENTUM_FEATURE,)),
    }
    rows = {}
    for position, (name, (spec, forecasts, features)) in enumerate(runs.items()):
        result = _trade(ground, spec, forecasts, features, name, _share(position, len(runs), name))
        result.nav.write_parquet(nav_file(folder, name))
        if name == MODEL:
            result.weights.write_parquet(folder / WEIGHTS)
        rows[name] = _performance(result)
    summary = EvaluationSummary.of(
        model_name=ground.settings.model_name,
        architecture=chosen.architecture,
        features=ground.dataset.features,
        horizon_bars=ground.dataset.horizon_bars,
        data_version=ground.version,
        trials=trials,
        panel=panel,
        performance=rows.pop(MODEL),
        baselines=rows,
        baseline_panels={LINEAR: linear, MOMENTUM: momentum},
        run_id=run_id,
    )
    (folder / SUMMARY).write_text(summary.model_dump_json(indent=2))
    return summary


def _evaluate_champion(ground: _Ground, folder: Path) -> None:
    """Measure the champion's configuration on the same windows; the gate compares like with like."""
    if not (folder / CHAMPION).exists():
        return
    card = ModelVersion.model_validate_json((folder / CHAMPION).read_text()).card
    panel = ground.panel(parse_params({k: v for k, v in card.params.items() if k != "seed"}))
    result = _trade(ground, ground.spec, panel, ground.dataset.features, card.name, lambda done, total: None)
    summary = EvaluationSummary.of(
        model_name=card.name,
        architecture=card.architecture,
        features=ground.dataset.features,
        horizon_bars=ground.dataset.horizon_bars,
        data_version=ground.version,
        trials=card.trials,
        panel=panel,
        performance=_performance(result),
        baselines={},
        run_id=card.run_id,
    )
    (folder / CHAMPION_SUMMARY).write_text(summary.model_dump_json(indent=2))


def _momentum(ground: _Ground, panel: pl.DataFrame) -> pl.DataFrame:
    """12-1 momentum on the model's days, with the same labels."""
    forecasts = momentum_panel(ground.features.select("symbol", "ts", MOMENTUM_FEATURE))
    return forecasts.join(panel.select("symbol", "ts", "label"), on=["symbol", "ts"], how="inner", validate="1:1")


def _trade(
    ground: _Ground, spec: PortfolioSpec, panel: pl.DataFrame, features: tuple[str, ...], name: str,
    progress: Callable[[int, int], None],
) -> BacktestResult:  # fmt: skip
    signature = ModelSignature(
        name=name,
        version="walk-forward",
        features=features,
        horizon_bars=spec.model.horizon_bars,
        data_version=ground.version,
        run_id="",
    )
    rows = ground.features.select("symbol", "ts", *features)
    parts = backtest_parts(spec, rows, ForecastTable(panel, signature))
    days = panel["ts"].dt.date()
    return run_backtest(
        spec,
        ground.bars,
        parts,
        start=days.min(),  # type: ignore[arg-type]
        until=days.max(),  # type: ignore[arg-type]
        data_version=ground.version,
        progress=progress,
    )


def _performance(result: BacktestResult) -> Performance:
    traded = float(sum(fill.quantity * fill.price for fill in result.fills))
    commission = float(sum(fill.commission_usd for fill in result.fills))
    return performance(result.nav, traded_usd=traded, commission_usd=commission)


def _share(position: int, of: int, name: str) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        report_progress("evaluate", position + done / total, of + 1, f"backtest: {name}")

    return report
