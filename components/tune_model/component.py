"""Step 5a: search configurations on the oldest sessions; every trial goes to MLflow."""

from typing import NamedTuple

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def tune_model(bars_version: int, training_version: int, horizon_bars: int, max_trials: int, seed: int) -> NamedTuple(
    "Tuned", [("run_id", str), ("params", str), ("trials", int)]
):
    from alphamill.steps.tune_model import tune_model

    return tune_model(bars_version, training_version, horizon_bars, max_trials, seed)
