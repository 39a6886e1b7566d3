"""Step 7: the gate decides; the model is registered with its card either way, the winner gets the alias."""

from typing import NamedTuple

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def register_model(model_dir: str, summary_path: str) -> NamedTuple(
    "Registered", [("model_id", str), ("accepted", bool)]
):
    from alphamill.steps.register_model import register_model

    return register_model(model_dir, summary_path)
