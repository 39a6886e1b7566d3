"""Steps that always run.

What our steps do stands in tables, the registry and a server; their outputs only name it. A backend that skipped a
step because it saw its arguments before would skip tomorrow's ingest, and deploy no second model.
"""

from kfp.dsl.pipeline_task import PipelineTask


def uncached(task: PipelineTask) -> PipelineTask:
    """The same task, run whatever the backend remembers."""
    return task.set_caching_options(enable_caching=False)
