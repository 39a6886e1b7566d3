"""Step 1: a feed's raw bars land, normalised, unchecked."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def ingest_bars(feed: str, until: str = "") -> int:
    from alphamill.steps.ingest_bars import ingest_bars

    return ingest_bars(feed, until)
