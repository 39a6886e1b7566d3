"""Each sentence of `.importlinter` can be broken: one planted import for each, in a scratch copy, and it says so."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]
#: Contract -> the module that gets a forbidden import, and that import.
PLANTED = {
    "stages": ("src/alphamill/risk/rule.py", "alphamill.features"),
    "layers": ("src/alphamill/ports/clock.py", "alphamill.trading"),
    "testing": ("src/alphamill/trading/desk.py", "alphamill.testing.clock"),
    "domain": ("src/alphamill/domain/orders.py", "alphamill.ports"),
    "adapters": ("src/alphamill/adapters/sql/rows.py", "alphamill.adapters.delta.tables"),
    "technologies": ("src/alphamill/trading/trader.py", "sqlalchemy"),
    "kfp": ("src/alphamill/steps/deploy_model.py", "kfp"),
    "fastapi": ("src/alphamill/door/door.py", "fastapi"),
    "door": ("src/alphamill/door/checks.py", "alphamill.domain.orders"),
    "composition": ("src/alphamill/cli/explain.py", "alphamill.adapters.sql.ledger"),
    "runtimes": ("src/alphamill/runtimes/cluster/wiring.py", "alphamill.runtimes.embedded.redis"),
    "runtime_users": ("serving/gateway/parts.py", "alphamill.runtimes.embedded"),
}


@pytest.fixture(scope="module")
def sentences() -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(REPO_ROOT / ".importlinter")
    start = "importlinter:contract:"
    return {name.removeprefix(start): parser[name]["name"] for name in parser.sections() if name.startswith(start)}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says of each sentence about a copy in which all of them are broken."""
    scratch = tmp_path_factory.mktemp("contracts")
    for folder in ("src", "serving", "components", "pipelines"):
        shutil.copytree(REPO_ROOT / folder, scratch / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO_ROOT / ".importlinter", scratch)
    for file, module in PLANTED.values():
        with (scratch / file).open("a") as source:
            source.write(f"\nimport {module}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run(
        [linter, "--no-cache"],
        cwd=scratch,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(scratch / "src"), str(scratch))), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", said, re.MULTILINE))


def test_every_contract_has_an_import_that_breaks_it(sentences: dict[str, str]) -> None:
    assert PLANTED.keys() == sentences.keys()


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_its_sentence(
    contract: str, sentences: dict[str, str], verdicts: dict[str, str]
) -> None:
    assert verdicts[sentences[contract]] == "BROKEN"
