"""`alphamill serve`: servers in the foreground, until Ctrl-C."""

from pathlib import Path
from typing import Annotated

import typer

from alphamill.cli.runtime import PortfolioFile, settings_with

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
def gateway(portfolio: PortfolioFile = None) -> None:
    """The HTTP API: bars, targets and halts in, orders explained. Trades nothing by itself."""
    from alphamill.runtimes.embedded.children import require_free
    from serving.gateway.__main__ import serve

    settings = settings_with(portfolio)
    require_free(settings.gateway_host, settings.gateway_port, "ALPHAMILL_GATEWAY_PORT")
    serve(settings)


@app.command()
def trader(portfolio: PortfolioFile = None) -> None:
    """The trading loop. One acts, by a lease in the ledger; a second one stands by."""
    from alphamill.runtimes.embedded.children import require_free
    from serving.trader.__main__ import serve

    settings = settings_with(portfolio)
    require_free(settings.trader_host, settings.trader_port, "ALPHAMILL_TRADER_PORT")
    serve(settings)


@app.command(name="all")
def everything(
    portfolio: PortfolioFile = None,
    model: Annotated[str, typer.Option("--model", "-m", help="Version or alias of the model to deploy.")] = "champion",
) -> None:
    """Trade on this machine: Redis, the forecaster, the gateway and the trader as child processes."""
    import contextlib
    import signal

    from alphamill.bootstrap import supervisor, wiring
    from alphamill.cli.console import out
    from alphamill.cli.replaying import start_trading
    from alphamill.runtimes.embedded.children import require_free

    given = settings_with(portfolio)
    require_free(given.gateway_host, given.gateway_port, "ALPHAMILL_GATEWAY_PORT")
    with supervisor(given) as runtime:
        parts = wiring(runtime.settings)
        name = parts.settings.model_name
        deployment = parts.model_server().deploy(parts.registry().get(name, model), name)
        out().print(f"{deployment.model_id} answers at {deployment.url}")
        url = start_trading(runtime, runtime.settings)
        out().print(f"gateway: {url}/docs")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                signal.pause()
