"""The image every step runs in on a cluster; kfp.local runs steps in the current interpreter and ignores it."""

from alphamill import environment

# Compiling for another registry or tag: ALPHAMILL_PIPELINE_IMAGE=... alphamill pipeline compile
PIPELINE_IMAGE = environment.read(environment.PIPELINE_IMAGE) or "alphamill/pipeline-python:0.1.0"
