"""Step 3: every registered feature of every bar."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def build_features(bars_version: int) -> int:
    from alphamill.steps.build_features import build_features

    return build_features(bars_version)
