"""The two pipelines, run with their progress shown."""

from pathlib import Path
from typing import Any

from alphamill.ports import Wiring
from alphamill.steps.run_folder import MODEL_ID

FEATURE_REFRESH = "pipelines.feature_refresh:feature_refresh"
TRAIN_AND_DEPLOY = "pipelines.train_and_deploy:train_and_deploy"
REFRESH_STAGES = ("ingest", "validate", "features", "materialize")
TRAIN_STAGES = ("train", "evaluate", "register", "deploy")


def refresh_features(parts: Wiring, progress: Path, *, feed: str, until: str, horizon_bars: int) -> dict[str, int]:
    """Run feature_refresh; returns the versions of the tables it wrote, as train_and_deploy takes them."""
    arguments = {"feed": feed, "until": until, "horizon_bars": horizon_bars}
    run = parts.pipelines().run(FEATURE_REFRESH, arguments, progress=progress)
    return {
        "bars_version": run.outputs["validate-bars"]["Output"],
        "features_version": run.outputs["build-features"]["Output"],
        "training_version": run.outputs["materialize-features"]["Output"],
    }


def train_and_deploy(
    parts: Wiring, progress: Path, versions: dict[str, int], *, horizon_bars: int, trials: int, seed: int
) -> dict[str, Any]:
    """Run train_and_deploy; returns run_id, summary_path, model_id, accepted and, if it was, the url."""
    arguments = {**versions, "horizon_bars": horizon_bars, "max_trials": trials, "seed": seed}
    run = parts.pipelines().run(TRAIN_AND_DEPLOY, arguments, progress=progress)
    summary_path = run.outputs["backtest-model"]["Output"]
    return {
        "run_id": run.outputs["tune-model"]["run_id"],
        "summary_path": summary_path,
        "model_id": Path(summary_path).with_name(MODEL_ID).read_text(),
        "accepted": run.outputs["register-model"]["Output"],
        "url": run.outputs.get("deploy-model", {}).get("Output"),
    }
