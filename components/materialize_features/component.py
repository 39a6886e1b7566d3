"""Step 4: features into Feast, the newest ones online, and the point-in-time training rows out of it."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def materialize_features(bars_version: int, features_version: int, horizon_bars: int) -> int:
    from alphamill.steps.materialize_features import materialize_features

    return materialize_features(bars_version, features_version, horizon_bars)
