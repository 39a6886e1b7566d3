"""Writes the parts of the documents that the code knows: `python scripts/document.py` after changing either.

A part stands between ``<!-- begin: NAME -->`` and ``<!-- end -->``. NAME is a file of the repository, or a table
below. tests/unit/test_documentation.py holds every part equal to the code.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alphamill.domain.portfolios import PortfolioSpec
from alphamill.errors import AlphamillError
from alphamill.settings import Settings
from alphamill.validation import ROW_RULES

REPO_ROOT = Path(__file__).resolve().parents[1]
PART = re.compile(r"(<!-- begin: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
LANGUAGES = {".py": "python", ".yaml": "yaml"}


def documents() -> list[Path]:
    return [REPO_ROOT / "README.md", REPO_ROOT / "CONTRIBUTING.md", *sorted((REPO_ROOT / "docs").rglob("*.md"))]


def rewritten(text: str) -> str:
    """The document with every part as the code has it now."""
    return PART.sub(lambda found: f"{found[1]}{part(found['name'])}\n{found[3]}", text)


def part(name: str) -> str:
    if name in TABLES:
        return TABLES[name]()
    path = REPO_ROOT / name
    return f"```{LANGUAGES[path.suffix]}\n{path.read_text().rstrip()}\n```"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in line) + " |" for line in lines
    )


def _settings() -> Iterator[tuple[str, ...]]:
    for name, field in Settings.model_fields.items():
        default = "as installed" if field.default_factory else _shown(field.default)
        yield f"`ALPHAMILL_{name.upper()}`", default, field.description or ""


def _portfolio(model: type[BaseModel] = PortfolioSpec, prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _portfolio(kind, f"{prefix}{name}.")
        else:
            default = "required" if field.default is PydanticUndefined else _shown(field.default)
            where = f"spec.{prefix}{name}" if model is not PortfolioSpec or name != "name" else "metadata.name"
            yield f"`{where}`", default, field.description or ""


def _shown(value: Any) -> str:
    if value is None:
        return "see right"
    if isinstance(value, (tuple, dict)):
        return ", ".join(map(_shown, value)) or "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _errors(kind: type[AlphamillError] = AlphamillError) -> Iterator[tuple[str, ...]]:
    for child in kind.__subclasses__():
        if child.__module__ == AlphamillError.__module__:
            yield f"`{child('').code}`", str(child.http_status), str(child.exit_code), f"`{child.__name__}`"
            yield from _errors(child)


def _validation() -> Iterator[tuple[str, ...]]:
    for rule in ROW_RULES:
        yield f"`{rule.code}`", f"`{rule.name}`", rule.demands


TABLES: dict[str, Callable[[], str]] = {
    "settings": lambda: _table(("variable", "default", "meaning"), _settings()),
    "portfolio": lambda: _table(("field", "default", "meaning"), _portfolio()),
    "errors": lambda: _table(("code", "HTTP", "exit", "class"), _errors()),
    "validation rules": lambda: _table(("code", "rule", "what must hold"), _validation()),
}


if __name__ == "__main__":
    for path in documents():
        before = path.read_text()
        if rewritten(before) != before:
            path.write_text(rewritten(before))
            sys.stdout.write(f"wrote {path.relative_to(REPO_ROOT)}\n")
