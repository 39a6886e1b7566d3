"""The two pipelines, run on this machine with their progress shown."""

from pathlib import Path
from typing import Any

from alphamill import environment
from alphamill.adapters.clock.system import SYSTEM_CLOCK
from alphamill.adapters.kfp.local import new_run_dir, run_pipeline
from alphamill.settings import Settings
from alphamill.steps.run_folder import MODEL_ID

FEATURE_REFRESH = "pipelines.feature_refresh:feature_refresh"
TRAIN_AND_DEPLOY = "pipelines.train_and_deploy:train_and_deploy"
REFRESH_STAGES = ("ingest", "validate", "features", "materialize")
TRAIN_STAGES = ("train", "evaluate", "register", "deploy")


def refresh_features(settings: Settings, progress: Path, *, feed: str, until: str, horizon_bars: int) -> dict[str, int]:
    """Run feature_refresh; returns the versions of the tables it wrote, as train_and_deploy takes them."""
    run_dir = new_run_dir(settings.home, "feature-refresh", SYSTEM_CLOCK.now())
    arguments = {"feed": feed, "until": until, "horizon_bars": horizon_bars}
    run = run_pipeline(FEATURE_REFRESH, arguments, run_dir, env=_environment(settings, progress))
    return {
        "bars_version": run.outputs["validate-bars"]["Output"],
        "features_version": run.outputs["build-features"]["Output"],
        "training_version": run.outputs["materialize-features"]["Output"],
    }


def train_and_deploy(
    settings: Settings, progress: Path, versions: dict[str, int], *, horizon_bars: int, trials: int, seed: int
) -> dict[str, Any]:
    """Run train_and_deploy; returns run_id, summary_path, model_id, accepted and, if it was, the url."""
    run_dir = new_run_dir(settings.home, "train-and-deploy", SYSTEM_CLOCK.now())
    arguments = {**versions, "horizon_bars": horizon_bars, "max_trials": trials, "seed": seed}
    run = run_pipeline(TRAIN_AND_DEPLOY, arguments, run_dir, env=_environment(settings, progress))
    summary_path = run.outputs["backtest-model"]["Output"]
    return {
        "run_id": run.outputs["tune-model"]["run_id"],
        "summary_path": summary_path,
        "model_id": Path(summary_path).with_name(MODEL_ID).read_text(),
        "accepted": run.outputs["register-model"]["Output"],
        "url": run.outputs.get("deploy-model", {}).get("Output"),
    }


def _environment(settings: Settings, progress: Path) -> dict[str, str]:
    return environment.child_environment(settings, {environment.PROGRESS_FILE: str(progress)})
