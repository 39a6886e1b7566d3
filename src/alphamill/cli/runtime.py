"""Which Redis a command uses: the one a setting names, else an embedded runtime for as long as the command runs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alphamill.ports import Wiring
    from alphamill.settings import Settings

PortfolioFile = Annotated[
    Path | None, typer.Option("--portfolio", "-p", help="A portfolio file; default: the configured one.")
]


def settings_with(portfolio: Path | None = None) -> "Settings":
    """Settings of the environment, with logging set up; a file given on the command line stands for the configured.

    What the command starts is told the same: see `alphamill.environment.child_environment`.
    """
    from alphamill.logs import configure
    from alphamill.settings import load_settings

    settings = load_settings()
    configure(settings, "cli")
    return settings if portfolio is None else settings.model_copy(update={"portfolios": (portfolio.resolve(),)})


@contextlib.contextmanager
def services(settings: "Settings") -> Iterator["Wiring"]:
    """Parts with a Redis and a home that this process owns; a configured ``ALPHAMILL_REDIS_URL`` is used as it is."""
    from alphamill.bootstrap import supervisor, wiring

    given = wiring(settings)
    if "redis_url" in settings.model_fields_set:
        yield given
        return
    with supervisor(settings) as runtime:
        yield wiring(runtime.settings)
