"""Step 5b: fit the best configuration on all rows and export it."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def train_model(
    run_id: str, params: str, trials: int, bars_version: int, training_version: int, horizon_bars: int, seed: int
) -> str:
    from alphamill.steps.train_model import train_model

    return train_model(run_id, params, trials, bars_version, training_version, horizon_bars, seed)
