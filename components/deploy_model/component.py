"""Step 8: serve the champion; the version that answered before stays until the new one passed its smoke test."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def deploy_model() -> str:
    from alphamill.steps.deploy_model import deploy_model

    return deploy_model()
