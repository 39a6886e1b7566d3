"""What our code may not reach for by itself: the environment of the process, the wall clock, the standard logger."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

from alphamill import environment
from alphamill.cli import parent

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDERS: Final = ("src", "serving", "components", "pipelines", "feature_repo")

#: Where `os.environ` may stand, and why.
READS_THE_ENVIRONMENT: Final = {
    "src/alphamill/settings.py": "settings come from it",
    "src/alphamill/environment.py": "it is the one door to it",
    "src/alphamill/cli/parent.py": "the set-up script runs it before anything is installed",
}
#: Where the time of day may be asked for, and why.
READS_THE_CLOCK: Final = {
    "src/alphamill/adapters/clock/system.py": "it is the clock",
}
#: Loggers of others that are told to be quiet, or to say what their own server says.
NAMES_A_LOGGER: Final = {
    "src/alphamill/logs.py": "it sets levels",
    "src/alphamill/adapters/mlflow/tracking.py": "quiets mlflow and alembic",
    "src/alphamill/adapters/ray/session.py": "quiets ray",
    "src/alphamill/training/export.py": "quiets torch",
    "serving/forecaster/rest.py": "answers in KServe's place, in its log",
    "serving/forecaster/server.py": "quiets KServe and uvicorn",
}
TIME: Final = {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"}
NOW: Final = {"now", "utcnow", "today"}


@cache
def modules() -> list[tuple[str, ast.Module]]:
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in paths]


def is_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
        return node.attr in ("environ", "environb", "getenv", "putenv", "unsetenv")
    return isinstance(node, ast.ImportFrom) and node.module == "os" and any(n.name == "environ" for n in node.names)


def is_wall_clock(node: ast.AST) -> bool:
    """``datetime.now`` and its kin, called or handed on; ``clock.now()`` is a port's method."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" and any(name.name in TIME for name in node.names)
    if not isinstance(node, ast.Attribute):
        return False
    owner = ast.unparse(node.value)
    return (owner == "time" and node.attr in TIME) or (
        owner.rpartition(".")[2] in ("datetime", "date") and node.attr in NOW
    )


def is_logger(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "logging.getLogger"


def found(what: object) -> set[str]:
    return {name for name, tree in modules() if any(map(what, ast.walk(tree)))}  # type: ignore[call-overload]


def test_only_settings_and_environment_touch_the_environment() -> None:
    assert found(is_environment) == set(READS_THE_ENVIRONMENT)


def test_only_the_clock_adapter_asks_for_the_time_of_day() -> None:
    assert found(is_wall_clock) == set(READS_THE_CLOCK)


def test_our_own_lines_go_through_structlog() -> None:
    assert found(is_logger) == set(NAMES_A_LOGGER)


def test_the_checks_see_what_they_look_for() -> None:
    seen = {
        "os.environ['A']": is_environment,
        "os.getenv('A')": is_environment,
        "from os import environ": is_environment,
        "dt.datetime.now(dt.UTC)": is_wall_clock,
        "datetime.now": is_wall_clock,
        "dt.date.today()": is_wall_clock,
        "time.time()": is_wall_clock,
        "from time import time": is_wall_clock,
        "logging.getLogger('x')": is_logger,
    }
    passed = {"clock.now()": is_wall_clock, "time.monotonic()": is_wall_clock, "os.path": is_environment}
    assert all(any(map(check, ast.walk(ast.parse(code)))) for code, check in seen.items())
    assert not any(any(map(check, ast.walk(ast.parse(code)))) for code, check in passed.items())


def test_no_path_of_a_working_tree_is_in_the_package() -> None:
    assert not [name for name, tree in modules() if "REPO_ROOT" in ast.unparse(tree)]
    for name, tree in modules():
        assert ".parents[" not in ast.unparse(tree), f"{name} climbs out of its package"


def test_the_watch_that_runs_uninstalled_uses_the_name_that_is_known() -> None:
    assert parent.EXIT_WITH_PARENT == environment.EXIT_WITH_PARENT


def test_the_shown_portfolio_is_the_packaged_one() -> None:
    packaged = ROOT / "src" / "alphamill" / "resources" / "portfolio.yaml"
    assert (ROOT / "examples" / "portfolio.yaml").read_text() == packaged.read_text()
