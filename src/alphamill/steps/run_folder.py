"""What one research run leaves for the steps after it and for the report: one folder per MLflow run."""

from pathlib import Path

import polars as pl

from alphamill.bootstrap import model_features
from alphamill.domain.bars import data_version
from alphamill.ports import Wiring
from alphamill.settings import Settings
from alphamill.training import Dataset, build_dataset

TRIALS = "trials.parquet"
SUMMARY = "summary.json"
CHAMPION = "champion.json"
CHAMPION_SUMMARY = "champion_summary.json"
VERDICT = "verdict.json"
WEIGHTS = "weights.parquet"
PANEL = "panel.parquet"
MODEL_ID = "model_id"
VALIDATION = "validation.html"


def run_folder(settings: Settings, run_id: str) -> Path:
    """Created when missing."""
    folder = settings.home.resolve() / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def nav_file(folder: Path, name: str) -> Path:
    return folder / f"nav_{name.replace(' ', '_')}.parquet"


def read_navs(folder: Path) -> dict[str, pl.DataFrame]:
    """Every equity curve of the run's backtests, by the name of what was traded."""
    prefix = "nav_"
    return {
        f.stem[len(prefix) :].replace("_", " "): pl.read_parquet(f) for f in sorted(folder.glob(f"{prefix}*.parquet"))
    }


def load_dataset(parts: Wiring, training_version: int, bars_version: int, horizon_bars: int) -> Dataset:
    """Labelled rows of one version of the training table."""
    frame = parts.lake().read("training", training_version)
    return build_dataset(
        frame, model_features(parts.settings), horizon_bars=horizon_bars, data_version=data_version(bars_version)
    )
