"""Fixtures shared by all suites. Slow parts start once per session, as children that cannot be orphaned."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from alphamill.embedded import Runtime, environment
from alphamill.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees the default settings, whatever the shell or a session fixture has exported."""
    for name in [name for name in os.environ if name.startswith(environment.PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """One embedded runtime, Redis included, for the whole session."""
    with Runtime(Settings(home=tmp_path_factory.mktemp("runtime"))) as opened:
        yield opened


@pytest.fixture(scope="session")
def runtime_home(runtime: Runtime) -> Path:
    """Home folder of the session's runtime; children may be started on it."""
    return runtime.home


@pytest.fixture(scope="session")
def redis_url(runtime: Runtime) -> str:
    """URL of a real Redis server. Shared: use keys of your own, never FLUSHALL."""
    return runtime.settings.redis_url
