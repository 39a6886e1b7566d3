"""The image every step runs in on a cluster; kfp.local runs steps in the current interpreter and ignores it."""

import os

# Compiling for another registry or tag: ALPHAMILL_PIPELINE_IMAGE=... alphamill pipeline compile
PIPELINE_IMAGE = os.environ.get("ALPHAMILL_PIPELINE_IMAGE", "alphamill/pipeline-python:0.1.0")
