"""Step 7: the gate decides; the model is registered with its card either way, the winner gets the alias."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


# One unnamed output: kfp.local takes a condition on a named one for false without an error. The id of the
# registered version stands in the run's folder.
@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def register_model(model_dir: str, summary_path: str) -> bool:
    from alphamill.steps.register_model import register_model

    return register_model(model_dir, summary_path)[1]
