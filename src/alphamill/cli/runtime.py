"""Which Redis a command uses: the one a setting names, else an embedded runtime for as long as the command runs."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alphamill.settings import Settings

PORTFOLIOS = "ALPHAMILL_PORTFOLIOS"

PortfolioFile = Annotated[
    Path | None, typer.Option("--portfolio", "-p", help="A portfolio file; default: the configured one.")
]


def settings_with(portfolio: Path | None = None) -> "Settings":
    """Settings of the environment; a file given on the command line stands for `ALPHAMILL_PORTFOLIOS`.

    It is put into the environment, because pipeline steps and servers are processes of their own.
    """
    from alphamill.settings import load_settings

    if portfolio is not None:
        os.environ[PORTFOLIOS] = json.dumps([str(portfolio.resolve())])
    return load_settings()


@contextlib.contextmanager
def services(settings: "Settings") -> Iterator["Settings"]:
    """Redis and a home that this process owns; a configured ``ALPHAMILL_REDIS_URL`` is used as it is."""
    if "redis_url" in settings.model_fields_set:
        yield settings
        return
    from alphamill.runtimes.embedded import Runtime

    with Runtime(settings) as runtime:
        yield runtime.settings
