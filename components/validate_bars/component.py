"""Step 2: what landed is accepted, corrected by a named rule, or quarantined with a reason."""

from kfp import dsl

from components.image import PIPELINE_IMAGE


@dsl.component(base_image=PIPELINE_IMAGE, install_kfp_package=False)
def validate_bars(landing_version: int, report: dsl.Output[dsl.HTML]) -> int:
    from alphamill.steps.validate_bars import validate_bars

    return validate_bars(landing_version, report.path)
