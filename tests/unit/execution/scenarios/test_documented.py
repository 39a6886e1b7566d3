"""docs/execution.md names every scenario, and no other."""

import ast
import re
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[4]


HERE = Path(__file__).parent
NO_SCENARIOS = {"test_agreement.py", Path(__file__).name}


def test_the_page_has_one_line_for_every_scenario() -> None:
    names = [
        node.name
        for path in HERE.glob("test_*.py")
        if path.name not in NO_SCENARIOS
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    documented = re.findall(r"`(test_\w+)`", (REPO_ROOT / "docs" / "execution.md").read_text())
    assert sorted(documented) == sorted(names)
