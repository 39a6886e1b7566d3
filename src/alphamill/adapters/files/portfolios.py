"""Portfolio specs from files."""

from collections.abc import Sequence
from pathlib import Path

from alphamill.domain.portfolios import PortfolioSpec, load_portfolio
from alphamill.errors import InvalidConfig


class PortfolioFiles:
    """The `PortfolioSource` port over YAML files, one portfolio each."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    def portfolios(self) -> list[PortfolioSpec]:
        """Read all files; `InvalidConfig` when there is none, or two portfolios share a name."""
        specs = [load_portfolio(path) for path in self._paths]
        needs = {
            "at least one": len(specs) > 0,
            "names of their own": len({spec.name for spec in specs}) == len(specs),
        }
        for what, met in needs.items():
            if not met:
                raise InvalidConfig(
                    f"the portfolios {[spec.name for spec in specs]} need {what}.",
                    field="ALPHAMILL_PORTFOLIOS",
                    remedy="Name each portfolio file once.",
                )
        return specs
