"""Promises about the repository itself: what it names, what it must not name, how long its files are."""

import ast
import re
import statistics
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from alphamill.cli.checks import lock_differences

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
MACHINE_PATH = re.compile(r"(?<![\w.$}>/])/(?:home|work|root|Users|opt)/\w+")
REGISTRY_HOST = re.compile(r"pypi\.org|pythonhosted\.org|//[\w.-]+/(?:simple|pypi)/", re.IGNORECASE)
TEXT = {".py", ".md", ".toml", ".sh", ".yaml", ".yml", ".lock", ".cfg", ".ini", ".txt", ".html", ".j2", ".mako", ""}


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in map(ROOT.joinpath, filter(None, names.split("\0"))) if path.is_file()]


def modules() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and "tests" not in path.parts]


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_readme_names_the_command(command: str) -> None:
    assert command in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_tracked_file_names_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = []
    for path in tracked():
        if path.suffix in TEXT and path != Path(__file__):
            lines = enumerate(path.read_text().splitlines(), start=1)
            found += [f"{path.relative_to(ROOT)}:{n}: {line.strip()}" for n, line in lines if pattern.search(line)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["/home/me/data", 'open("/home/x")', "cd /root/y"])
def test_the_machine_path_pattern_sees_one(text: str) -> None:
    assert MACHINE_PATH.search(text)


def test_no_module_is_longer_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert not {name: length for name, length in lengths.items() if length > 300}
    assert statistics.median(lengths.values()) < 100


@pytest.mark.parametrize("word", ["utils", "helpers", "manager"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    assert not [path for path in tracked() if path.suffix == ".py" and word in path.stem.split("_")]


def test_lock_has_a_version_for_every_requirement_of_pyproject() -> None:
    lines = (line.split("==") for line in LOCK.read_text().splitlines() if "==" in line)
    locked = {canonicalize_name(name): version for name, version in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for lines in project["optional-dependencies"].values() for line in lines)]
    for requirement in map(Requirement, asked):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in the lock"
        assert requirement.specifier.contains(version), f"the lock has {version} for {requirement}"


def test_installed_packages_are_the_locked_ones() -> None:
    assert lock_differences(LOCK) == []


def test_a_different_version_in_the_lock_is_noticed(tmp_path: Path) -> None:
    other = tmp_path / "lock"
    other.write_text(re.sub(r"(?m)^numpy==.*$", "numpy==0.0.1", LOCK.read_text()))
    assert [line.split()[0] for line in lock_differences(other)] == ["numpy"]


def test_a_package_missing_in_the_lock_is_noticed(tmp_path: Path) -> None:
    other = tmp_path / "lock"
    other.write_text(re.sub(r"(?m)^markupsafe==.*\n", "", LOCK.read_text()))
    assert [line.split()[0] for line in lock_differences(other)] == ["markupsafe"]


def test_make_targets_are_at_most_three_lines() -> None:
    recipes = re.split(r"\n(?=\S)", (ROOT / "Makefile").read_text())
    assert all(recipe.count("\n\t") <= 3 for recipe in recipes)


def test_package_modules_do_nothing_at_import() -> None:
    """No bare call at module level, except what declares: typer commands, dataclass helpers, overrides."""
    allowed = {"register", "add_typer", "register_feature", "install"}
    found = []
    for path in modules():
        if "src" not in path.parts:
            continue
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                function = node.value.func
                name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "?")
                if name not in allowed:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}(...)")
    assert not found
