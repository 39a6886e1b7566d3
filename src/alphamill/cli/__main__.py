"""`alphamill`: one module per command group. Nothing heavy is imported before a command runs."""

import contextlib
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from alphamill import environment
from alphamill.cli import check, demo, doctor, explain, pipeline, portfolio, serve, stages, trading
from alphamill.cli.console import show_error
from alphamill.cli.parent import exit_with_parent
from alphamill.errors import AlphamillError

#: Exit codes of a command that Ctrl-C, SIGTERM or SIGHUP ended.
STOPPED = {128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

app = typer.Typer(
    help="Market data to orders: the code that backtests is the code that trades.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.register(app)
stages.register(app)
trading.register(app)
explain.register(app)
doctor.register(app)
app.add_typer(check.app, name="check")
app.add_typer(pipeline.app, name="pipeline")
app.add_typer(serve.app, name="serve")
app.add_typer(portfolio.app, name="portfolio")


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    """Market data to orders: the code that backtests is the code that trades."""
    if debug:
        environment.export({environment.DEBUG: "1"})


def _terminate(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that every `with` block on the way out ends its children."""
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command; an `AlphamillError` becomes its exit code and a message without a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    exit_with_parent()
    try:
        app()
    except AlphamillError as error:
        if environment.read(environment.DEBUG):
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code in STOPPED:
            with contextlib.suppress(OSError):  # the terminal may be what went
                sys.stderr.write("Stopped; what this command had started is stopped too.\n")
        raise


if __name__ == "__main__":
    main()
