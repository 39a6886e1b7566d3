"""Writes every pipeline as YAML for a Kubeflow Pipelines backend: `alphamill pipeline compile`."""

from pathlib import Path

from kfp import compiler
from kfp.dsl.graph_component import GraphComponent

from pipelines.feature_refresh import feature_refresh
from pipelines.train_and_deploy import train_and_deploy

PIPELINES: dict[str, GraphComponent] = {
    "feature_refresh": feature_refresh,
    "train_and_deploy": train_and_deploy,
}


def compile_all(into: Path) -> list[Path]:
    """Compile into `into`, one file per pipeline; returns the paths."""
    into.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, pipeline in PIPELINES.items():
        paths.append(into / f"{name}.yaml")
        compiler.Compiler().compile(pipeline, package_path=str(paths[-1]))
    return paths
