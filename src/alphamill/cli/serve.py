"""`alphamill serve`: the two servers in the foreground, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from alphamill.cli.runtime import PortfolioFile, services, settings_with

app = typer.Typer(help="Run a server in the foreground, until Ctrl-C.", no_args_is_help=True)


@app.command()
def forecaster(
    model: Annotated[str, typer.Option("--model", "-m", help="Version number or alias in the registry.")] = "champion",
    model_dir: Annotated[
        Path | None,
        typer.Option("--model-dir", help="A folder with model.onnx and card.json, instead of the registry."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the v2 REST protocol.")] = 8080,
) -> None:
    """Serve a model over the v2 inference protocol."""
    from alphamill.bootstrap import wiring
    from alphamill.runtimes.embedded.children import require_free
    from serving.forecaster.__main__ import main

    require_free(host, port, "--port")
    settings = settings_with()
    version = "unregistered"
    if model_dir is None:
        registry = wiring(settings).registry()
        found = registry.get(settings.model_name, model)
        model_dir, version = registry.download(found, settings.home.resolve() / "models" / found.id), found.version
    arguments = ["--model-dir", str(model_dir), "--model-name", settings.model_name, "--model-version", version]
    raise typer.Exit(main([*arguments, "--host", host, "--http-port", str(port)]))


@app.command()
def controller(
    portfolio: PortfolioFile = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Version or alias of the model to deploy.")] = "champion",
) -> None:
    """Trade: the HTTP API and the loop, with Redis and the forecaster as child processes.

    With ALPHAMILL_REDIS_URL set nothing is started: Redis and the forecaster must run already.
    """
    from alphamill.cli.console import out
    from alphamill.runtimes.embedded.children import require_free
    from serving.controller.__main__ import serve

    given = settings_with(portfolio)
    require_free(given.controller_host, given.controller_port, "ALPHAMILL_CONTROLLER_PORT")
    with services(given) as parts:
        settings = parts.settings
        if settings is not given:
            version = parts.registry().get(settings.model_name, model)
            deployment = parts.model_server().deploy(version, settings.model_name)
            out().print(f"{deployment.model_id} answers at {deployment.url}")
        out().print(f"controller: http://{settings.controller_host}:{settings.controller_port}/docs")
        serve(settings)
