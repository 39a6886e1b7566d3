"""`alphamill pipeline`: the Kubeflow pipelines as files."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Compile the Kubeflow pipelines.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Compile the Kubeflow pipelines."""


@app.command("compile")
def compile_pipelines(
    into: Annotated[Path, typer.Option("--into", "-o", help="Folder for the YAML files.")] = Path("build/pipelines"),
) -> None:
    """Write every pipeline as the YAML file that a Kubeflow Pipelines backend runs."""
    from alphamill.cli.console import out
    from pipelines.compile import compile_all

    for path in compile_all(into):
        out().print(f"wrote {path}")
