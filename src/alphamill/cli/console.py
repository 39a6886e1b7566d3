"""What every command shares: the two consoles, settings and the portfolio that is meant."""

from typing import TYPE_CHECKING

from alphamill.errors import AlphamillError

if TYPE_CHECKING:
    from rich.console import Console

    from alphamill.domain.portfolios import PortfolioSpec
    from alphamill.settings import Settings


def out() -> "Console":
    from rich.console import Console

    return Console()


def show_error(error: AlphamillError) -> None:
    """Message, field and remedy on stderr."""
    from rich.console import Console
    from rich.text import Text

    from alphamill.secret_url import masked_text

    console = Console(stderr=True)
    console.print(Text.assemble(("error ", "bold red"), (error.code.lower(), "red"), "  ", masked_text(error.message)))
    if error.field:
        console.print(Text.assemble(("field  ", "dim"), error.field))
    if error.remedy:
        console.print(Text.assemble(("remedy ", "dim"), error.remedy))


def find_portfolio(settings: "Settings", name: str | None) -> "PortfolioSpec":
    """The portfolio of that name among the configured files; without a name the only one.

    Raises
    ------
    NotFound
        No configured file holds it, or there are several and none was named.
    """
    from alphamill.domain.portfolios import load_portfolio
    from alphamill.errors import NotFound

    specs = {spec.name: spec for spec in map(load_portfolio, settings.portfolios)}
    if name is None and len(specs) == 1:
        return next(iter(specs.values()))
    if name not in specs:
        known = ", ".join(sorted(specs)) or "none"
        raise NotFound(
            f"portfolio {name!r} is not configured (known: {known}).",
            field="portfolio",
            remedy="Name one with --portfolio, or add its file to ALPHAMILL_PORTFOLIOS.",
        )
    return specs[name]
