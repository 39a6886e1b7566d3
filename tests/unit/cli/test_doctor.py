"""Each check finds what is wrong and says how to mend it."""

import importlib.metadata
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alphamill.cli import checks
from alphamill.cli.__main__ import app
from alphamill.cli.checks import Health
from alphamill.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", redis_url=f"redis://127.0.0.1:{unused_port()}/0")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_check_of_this_environment_passes(settings: Settings) -> None:
    findings = {check.__name__: check(settings) for check in checks.CHECKS}
    assert {name for name, found in findings.items() if found.health is Health.ERROR} == set()
    assert findings["redis_reachable"].health is Health.WARNING
    assert all(found.remedy for found in findings.values() if found.health is not Health.OK)


def test_a_misspelt_setting_is_named_with_its_neighbour(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPHAMILL_HOEM", "/data")
    found = checks.variable_names(settings)
    assert found.health is Health.ERROR
    assert "ALPHAMILL_HOEM" in found.detail
    assert found.remedy == "Did you mean ALPHAMILL_HOME?"


def test_running_redis_is_found(redis_url: str) -> None:
    assert checks.redis_reachable(Settings(redis_url=redis_url)).health is Health.OK


def test_another_program_on_the_port_of_the_controller_is_found() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        other.settimeout(10)
        found = checks.listening("127.0.0.1", port)
    assert found
    assert not checks.listening("127.0.0.1", port)


def test_home_that_is_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checks.home_writable(Settings(home=tmp_path / "file" / "home"))
    assert found.health is Health.ERROR
    assert "ALPHAMILL_HOME" in found.remedy


def test_full_disk_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FREE_DISK_GB", 1e9)
    assert checks.free_disk(settings).health is Health.ERROR


def test_broken_portfolio_file_is_found(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "portfolio.yaml").read_text()
    (tmp_path / "p.yaml").write_text(text.replace("max_weight: 0.4", "max_weight: 4"))
    found = checks.portfolio_files(Settings(portfolios=(tmp_path / "p.yaml",)))
    assert found.health is Health.ERROR
    assert "sizing.max_weight" in found.detail


def test_two_portfolios_of_one_name_are_found() -> None:
    path = ROOT / "examples" / "portfolio.yaml"
    assert checks.portfolio_files(Settings(portfolios=(path, path))).health is Health.ERROR


def test_clock_behind_the_installation_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CLOCK_AHEAD_OF_FILES_SECS", -1e12)
    assert checks.clock_sane(settings).health is Health.ERROR


def test_missing_server_wheel_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SERVER_WHEELS", {"no-such-wheel": "the embedded Redis"})
    found = checks.server_wheels(settings)
    assert found.health is Health.ERROR
    assert "the embedded Redis is missing" in found.detail


def test_doctor_exits_with_1_when_something_must_be_mended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SERVER_WHEELS", {"no-such-wheel": "the embedded Redis"})
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "mend" in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_home_without_permission_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert checks.home_writable(Settings(home=tmp_path / "home")).health is Health.ERROR


def test_packages_installed_are_followed_through_extras() -> None:
    assert importlib.metadata.metadata("alphamill").get_all("Provides-Extra")
